#include "match.h"

#include "ggml-backend-impl.h"
#include "ggml-impl.h"

namespace moe {

namespace {

bool is_no_work(const ggml_tensor * t) {
    switch (t->op) {
        case GGML_OP_NONE:
        case GGML_OP_RESHAPE:
        case GGML_OP_VIEW:
        case GGML_OP_PERMUTE:
        case GGML_OP_TRANSPOSE: return true;
        default: return ggml_is_empty(t) || (t->flags & GGML_TENSOR_FLAG_COMPUTE) == 0;
    }
}

// Model weights are never overwritten by the graph, so a fused region may read them at any time.
bool is_model_weight(const ggml_tensor * t) {
    return t->op == GGML_OP_NONE && t->buffer != nullptr && t->buffer->usage == GGML_BACKEND_BUFFER_USAGE_WEIGHTS;
}

bool same_input(const Product & a, const Product & b) {
    return a.mm->op == b.mm->op && a.mm->src[1] == b.mm->src[1] && a.mm->src[2] == b.mm->src[2];
}

// The n-th slot of every token of t: view [N, tokens] at n*nb1.
bool is_slot_view(const ggml_tensor * v, const ggml_tensor * t, int64_t slot) {
    return v->op == GGML_OP_VIEW && v->src[0] == t && v->data == static_cast<char *>(t->data) + size_t(slot) * t->nb[1] &&
           v->ne[0] == t->ne[0] && v->ne[1] == t->ne[2] && v->ne[2] == 1 && v->ne[3] == 1 && v->nb[0] == t->nb[0] &&
           v->nb[1] == t->nb[2];
}

// ((slot 0 + slot 1) + slot 2) + …: index of the last addition, or -1.
int match_sum(const Nodes & n, int i, const ggml_tensor * t) {
    const int64_t used = t->ne[1];
    if (used < 2 || t->ne[3] != 1) { return -1; }
    const ggml_tensor * acc = nullptr;
    for (int64_t s = 1; s < used; ++s) {
        if (s > 1) { i = n.next(i); }
        const ggml_tensor * add = n.at(i);
        if (add == nullptr || add->op != GGML_OP_ADD || !ggml_is_contiguous(add)) { return -1; }
        const bool left = s == 1 ? is_slot_view(add->src[0], t, 0) : add->src[0] == acc;
        if (!left || !is_slot_view(add->src[1], t, s)) { return -1; }
        if (s + 1 < used && !n.only_used(i, 1)) { return -1; }
        acc = add;
    }
    return i;
}

void match_down(const Nodes & n, int glu_at, Ffn & f) {
    Product d;
    if (!match_product(n, n.next(glu_at), d) || d.mm->op != f.gate.mm->op || d.mm->src[1] != f.glu ||
        d.mm->src[2] != f.gate.mm->src[2] || !is_model_weight(d.mm->src[0])) {
        return;
    }
    f.down = d;
    f.out  = d.out;
    f.last = d.last;
    if (d.mm->op != GGML_OP_MUL_MAT_ID) { return; }
    int at = n.next(d.last);
    const ggml_tensor * mul = n.at(at);
    if (mul != nullptr && mul->op == GGML_OP_MUL && mul->src[0] == d.out && mul->src[1]->type == GGML_TYPE_F32 &&
        mul->src[1]->ne[0] == 1 && mul->src[1]->ne[1] == d.out->ne[1] && mul->src[1]->ne[2] == d.out->ne[2] &&
        mul->src[1]->ne[3] == 1 && n.only_used(d.last, 1)) {
        // The sum must follow: weights alone are not worth a pattern.
        const int end = match_sum(n, n.next(at), mul);
        if (end >= 0 && n.only_used(at, static_cast<int>(mul->ne[1]))) {
            f.slot_weight = mul->src[1];
            f.sum  = true;
            f.out  = n.at(end);
            f.last = end;
        }
        return;
    }
    const int end = match_sum(n, at, d.out);
    if (end >= 0 && n.only_used(d.last, static_cast<int>(d.out->ne[1]))) {
        f.sum  = true;
        f.out  = n.at(end);
        f.last = end;
    }
}

}  // namespace

Nodes::Nodes(ggml_cgraph * g) : g_(g), n_(ggml_graph_n_nodes(g)) {}

ggml_tensor * Nodes::at(int i) const { return i >= 0 && i < n_ ? ggml_graph_node(g_, i) : nullptr; }

int Nodes::next(int i) const {
    if (i >= n_) { return n_; }
    for (++i; i < n_ && is_no_work(ggml_graph_node(g_, i)); ++i) {}
    return i;
}

bool Nodes::only_used(int i, int uses) const {
    return (at(i)->flags & GGML_TENSOR_FLAG_OUTPUT) == 0 && ggml_node_get_use_count(g_, i) == uses;
}

bool match_product(const Nodes & n, int i, Product & p) {
    ggml_tensor * mm = n.at(i);
    if (mm == nullptr || (mm->op != GGML_OP_MUL_MAT && mm->op != GGML_OP_MUL_MAT_ID)) { return false; }
    p = {mm, nullptr, mm, i};
    const int j = n.next(i);
    ggml_tensor * add = n.at(j);
    if (mm->op == GGML_OP_MUL_MAT_ID && add != nullptr && add->op == GGML_OP_ADD_ID && add->src[0] == mm &&
        add->src[2] == mm->src[2] && is_model_weight(add->src[1]) && is_model_weight(mm->src[0]) &&
        add->src[1]->type == GGML_TYPE_F32 && add->src[1]->nb[0] == sizeof(float) && n.only_used(i, 1)) {
        p.bias = add->src[1];
        p.out  = add;
        p.last = j;
    }
    return true;
}

bool match_ffn(const Nodes & n, int i, Ffn & f) {
    Product a, b;
    if (!match_product(n, i, a) || !match_product(n, n.next(a.last), b) || !same_input(a, b)) { return false; }
    const int at = n.next(b.last);
    ggml_tensor * glu = n.at(at);
    if (glu == nullptr || glu->op != GGML_OP_GLU || glu->src[1] == nullptr) { return false; }
    const bool up_first = glu->src[1] == a.out && glu->src[0] == b.out;
    if (!up_first && !(glu->src[0] == a.out && glu->src[1] == b.out)) { return false; }
    if (!is_model_weight(a.mm->src[0]) || !is_model_weight(b.mm->src[0]) || !n.only_used(a.last, 1) || !n.only_used(b.last, 1)) {
        return false;
    }
    f = Ffn();
    f.gate = up_first ? b : a;
    f.up   = up_first ? a : b;
    f.glu  = glu;
    f.out  = glu;
    f.last = at;
    match_down(n, at, f);
    return true;
}

}  // namespace moe

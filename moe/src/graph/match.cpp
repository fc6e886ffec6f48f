#include "match.h"

#include <algorithm>

#include "ggml-backend.h"
#include "ggml/fusion.h"

namespace moe {

namespace {

bool is_no_work(const ggml_tensor * t) {
    switch (t->op) {
        case GGML_OP_NONE:
        case GGML_OP_RESHAPE:
        case GGML_OP_VIEW:
        case GGML_OP_PERMUTE:
        case GGML_OP_TRANSPOSE:
            return true;
        default:
            return ggml_is_empty(t) || (t->flags & GGML_TENSOR_FLAG_COMPUTE) == 0;
    }
}

// Model weights are never overwritten by the graph, so a fused region may read them at any time.
bool is_model_weight(const ggml_tensor * t) {
    return t->op == GGML_OP_NONE && t->buffer != nullptr &&
           ggml_backend_buffer_get_usage(t->buffer) == GGML_BACKEND_BUFFER_USAGE_WEIGHTS;
}

// Inputs alone tell expert products from others, which have no third one.
bool same_input(const Product & a, const Product & b) {
    return a.mm->src[1] == b.mm->src[1] && a.mm->src[2] == b.mm->src[2];
}

// The n-th slot of every token of t: view [N, tokens] at n*nb1.
bool is_slot_view(const ggml_tensor * v, const ggml_tensor * t, int64_t slot) {
    return v->op == GGML_OP_VIEW && v->src[0] == t &&
           v->data == static_cast<char *>(t->data) + size_t(slot) * t->nb[1] && v->ne[0] == t->ne[0] &&
           v->ne[1] == t->ne[2] && v->ne[2] == 1 && v->ne[3] == 1 && v->nb[0] == t->nb[0] && v->nb[1] == t->nb[2];
}

// Finds the sum of an expert FFN, ((slot 0 + slot 1) + slot 2) + …, over the slots of `experts` (index `at`), from node
// `i` on: the index of its last addition, or -1 if there is none or any part of it, `experts` included, is read
// elsewhere too. `before`: the node that `experts` is computed from, if that need not be written either, else -1.
int match_sum(const Nodes & n, int before, int at, int i) {
    const ggml_tensor * experts = n.at(at);
    const int64_t used = experts->ne[1];
    if (used < 2 || 2 * used + 1 > kMostFused) return -1;
    int parts[kMostFused], n_parts = 0;
    const auto add_part = [&](int node) { parts[n_parts++] = node; };
    if (before >= 0) add_part(before);
    add_part(at);
    const ggml_tensor * acc = nullptr;
    for (int64_t s = 1; s < used; ++s) {
        if (s > 1) i = n.next(i);
        const ggml_tensor * add = n.at(i);
        if (add == nullptr || add->op != GGML_OP_ADD || !ggml_is_contiguous(add)) return -1;
        if (s == 1 ? !is_slot_view(add->src[0], experts, 0) : add->src[0] != acc) return -1;
        if (!is_slot_view(add->src[1], experts, s)) return -1;
        if (s == 1) add_part(n.find(add->src[0], at, i));
        add_part(n.find(add->src[1], at, i));
        add_part(i);
        acc = add;
    }
    std::sort(parts, parts + n_parts);
    return n.closed(parts, n_parts) ? i : -1;
}

void match_down(const Nodes & n, int glu_at, Ffn & f) {
    Product d;
    if (!match_product(n, n.next(glu_at), d) || d.mm->src[1] != f.glu || d.mm->src[2] != f.gate.mm->src[2] ||
        !is_model_weight(d.mm->src[0])) {
        return;
    }
    f.down = d;
    f.out = d.out;
    f.last = d.last;
    if (d.mm->op != GGML_OP_MUL_MAT_ID) return;
    const int at = n.next(d.last);
    const ggml_tensor * mul = n.at(at);
    const bool weighted = mul != nullptr && mul->op == GGML_OP_MUL && mul->src[0] == d.out && mul->src[1]->ne[0] == 1 &&
                          mul->src[1]->ne[1] == d.out->ne[1] && mul->src[1]->ne[2] == d.out->ne[2];
    // The sum must follow: weights alone are not worth a pattern.
    const int end = weighted ? match_sum(n, d.last, at, n.next(at)) : match_sum(n, -1, d.last, at);
    if (end < 0) return;
    f.slot_weight = weighted ? mul->src[1] : nullptr;
    f.sum = true;
    f.out = n.at(end);
    f.last = end;
}

}  // namespace

Nodes::Nodes(ggml_cgraph * g) : g_(g), n_(ggml_graph_n_nodes(g)) {}

ggml_tensor * Nodes::at(int i) const {
    return i >= 0 && i < n_ ? ggml_graph_node(g_, i) : nullptr;
}

int Nodes::next(int i) const {
    if (i >= n_) return n_;
    for (++i; i < n_ && is_no_work(ggml_graph_node(g_, i)); ++i) {
    }
    return i;
}

int Nodes::find(const ggml_tensor * t, int after, int before) const {
    for (int i = after + 1; i < before; ++i) {
        if (at(i) == t) return i;
    }
    return -1;
}

bool Nodes::closed(const int * nodes, int n) const {
    return nodes[0] >= 0 && read_only_within(g_, nodes, n);
}

bool match_product(const Nodes & n, int i, Product & p) {
    ggml_tensor * mm = n.at(i);
    if (mm == nullptr || (mm->op != GGML_OP_MUL_MAT && mm->op != GGML_OP_MUL_MAT_ID)) return false;
    p = {mm, nullptr, mm, i};
    const int j = n.next(i);
    ggml_tensor * add = n.at(j);
    if (add != nullptr && add->op == GGML_OP_ADD_ID && add->src[0] == mm && add->src[2] == mm->src[2] &&
        is_model_weight(add->src[1]) && is_model_weight(mm->src[0]) && n.closed({i, j})) {
        p.bias = add->src[1];
        p.out = add;
        p.last = j;
    }
    return true;
}

bool match_ffn(const Nodes & n, int i, Ffn & f) {
    Product a, b;
    if (!match_product(n, i, a) || !match_product(n, n.next(a.last), b) || !same_input(a, b)) return false;
    const int at = n.next(b.last);
    ggml_tensor * glu = n.at(at);
    if (glu == nullptr || glu->op != GGML_OP_GLU || glu->src[1] == nullptr) return false;
    const bool up_first = glu->src[1] == a.out && glu->src[0] == b.out;
    if (!up_first && !(glu->src[0] == a.out && glu->src[1] == b.out)) return false;
    if (!is_model_weight(a.mm->src[0]) || !is_model_weight(b.mm->src[0]) || !n.closed({a.last, b.last, at}))
        return false;
    f = Ffn();
    f.gate = up_first ? b : a;
    f.up = up_first ? a : b;
    f.glu = glu;
    f.out = glu;
    f.last = at;
    match_down(n, at, f);
    return true;
}

}  // namespace moe

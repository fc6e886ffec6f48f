#include "match.h"

#include <algorithm>
#include <cmath>

#include "cpu/ops.h"
#include "cpu/tensor.h"
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
    if (used < 2 || 2 * used + 1 > MOST_FUSED) return -1;
    int parts[MOST_FUSED], n_parts = 0;
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

// One half of each row of t.
bool is_half_view(const ggml_tensor * v, const ggml_tensor * t, int half) {
    const size_t offset = size_t(half) * size_t(t->ne[0] / 2) * t->nb[0];
    bool same = v->op == GGML_OP_VIEW && v->src[0] == t && v->data == static_cast<char *>(t->data) + offset &&
                t->ne[0] % 2 == 0 && v->ne[0] == t->ne[0] / 2 && v->nb[0] == t->nb[0];
    for (int dim = 1; dim < GGML_MAX_DIMS; ++dim) {
        same = same && v->ne[dim] == t->ne[dim] && v->nb[dim] == t->nb[dim];
    }
    return same;
}

// The index of the MUL by a scale per expert that follows the product at i, or -1. llama.cpp repeats the scales of all
// experts for every token, and takes the rows of those that it uses.
int match_scale(const Nodes & n, int i, Product & p) {
    const ggml_tensor * mm = p.mm;
    const int repeat_at = n.next(i), rows_at = n.next(repeat_at), mul_at = n.next(rows_at);
    const ggml_tensor *repeat = n.at(repeat_at), *rows = n.at(rows_at);
    ggml_tensor * mul = n.at(mul_at);
    if (mul == nullptr || mm->op != GGML_OP_MUL_MAT_ID || repeat->op != GGML_OP_REPEAT ||
        rows->op != GGML_OP_GET_ROWS || mul->op != GGML_OP_MUL) {
        return -1;
    }
    const ggml_tensor * reshaped = repeat->src[0];
    ggml_tensor * scale = reshaped->op == GGML_OP_RESHAPE ? reshaped->src[0] : nullptr;
    const int64_t experts = mm->src[0]->ne[2];
    if (scale == nullptr || !is_model_weight(scale) || scale->type != GGML_TYPE_F32 || !ggml_is_contiguous(scale) ||
        ggml_nelements(scale) != experts || reshaped->ne[1] != experts || repeat->ne[0] != 1 ||
        repeat->ne[1] != experts || repeat->ne[2] != mm->src[2]->ne[1]) {
        return -1;
    }
    if (rows->src[0] != repeat || rows->src[1] != mm->src[2] || mul->src[0] != mm || mul->src[1] != rows) return -1;
    if (!is_model_weight(mm->src[0]) || !n.closed({i, repeat_at, rows_at, mul_at})) return -1;
    p.scale = scale;
    p.out = mul;
    p.last = mul_at;
    return mul_at;
}

void match_down(const Nodes & n, int glu_at, Ffn & f) {
    Product d;
    if (!match_product(n, n.next(glu_at), d) || d.mm->src[1] != f.glu || d.mm->src[2] != f.gate.mm->src[2] ||
        d.mm->src[0]->ne[2] != f.gate.mm->src[0]->ne[2] || !is_model_weight(d.mm->src[0])) {
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

// Inputs alone tell expert products from others, which have no third one.
bool same_routing(const Product & a, const Product & b) {
    return a.mm->src[1] == b.mm->src[1] && a.mm->src[2] == b.mm->src[2] && a.mm->src[0]->ne[2] == b.mm->src[0]->ne[2];
}

bool match_product(const Nodes & n, int i, Product & p) {
    ggml_tensor * mm = n.at(i);
    if (mm == nullptr || (mm->op != GGML_OP_MUL_MAT && mm->op != GGML_OP_MUL_MAT_ID)) return false;
    p = Product();
    p.mm = p.out = mm;
    p.last = i;
    p.rows = mm->src[0]->ne[1];
    match_scale(n, i, p);
    const int j = n.next(p.last);
    ggml_tensor * add = n.at(j);
    if (add != nullptr && add->op == GGML_OP_ADD_ID && add->src[0] == p.out && add->src[2] == mm->src[2] &&
        is_model_weight(add->src[1]) && is_model_weight(mm->src[0]) && n.closed({p.last, j})) {
        p.bias = add->src[1];
        p.out = add;
        p.last = j;
    }
    return true;
}

namespace {

// Gate and up as one product of twice the rows: the activation reads both halves of its result, as views or as one.
bool match_halves(const Nodes & n, const Product & both, Ffn & f) {
    const int at = n.next(both.last);
    ggml_tensor * glu = n.at(at);
    if (glu == nullptr || glu->op != GGML_OP_GLU || !is_model_weight(both.mm->src[0]) || both.rows % 2 != 0)
        return false;
    bool gate_last = false;
    if (glu->src[1] == nullptr) {
        gate_last = op_i32(glu, 1) != 0;
        if (glu->src[0] != both.out || !n.closed({both.last, at})) return false;
    } else {
        gate_last = is_half_view(glu->src[0], both.out, 1);
        if (!is_half_view(glu->src[0], both.out, gate_last) || !is_half_view(glu->src[1], both.out, !gate_last))
            return false;
        int nodes[] = {both.last, n.find(glu->src[0], both.last, at), n.find(glu->src[1], both.last, at), at};
        std::sort(nodes, nodes + 4);
        if (!n.closed(nodes, 4)) return false;
    }
    f = Ffn();
    f.gate = f.up = both;
    f.gate.rows = f.up.rows = both.rows / 2;
    (gate_last ? f.gate : f.up).first_row = both.rows / 2;
    f.glu = glu;
    f.activation.glu = glu_params(glu);
    return true;
}

bool match_pair(const Nodes & n, const Product & a, Ffn & f) {
    Product b;
    if (!match_product(n, n.next(a.last), b) || !same_routing(a, b)) return false;
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
    f.activation.glu = glu_params(glu);
    return true;
}

bool is_unary(const ggml_tensor * t, ggml_unary_op op, const ggml_tensor * of) {
    return t != nullptr && t->op == GGML_OP_UNARY && ggml_get_unary_op(t) == op && t->src[0] == of;
}
bool is_clamp(const ggml_tensor * t, const ggml_tensor * of, float min, float max) {
    return t != nullptr && t->op == GGML_OP_CLAMP && t->src[0] == of && op_f32(t, 0) == min && op_f32(t, 1) == max;
}

// The activated gate below a limit, times the up projection within it.
bool match_limited(const Nodes & n, const Product & a, Ffn & f) {
    Product b;
    const int silu_at = n.next(a.last), top_at = n.next(silu_at);
    ggml_tensor *silu = n.at(silu_at), *top = n.at(top_at);
    if (top == nullptr || !is_unary(silu, GGML_UNARY_OP_SILU, a.out) || top->op != GGML_OP_CLAMP) return false;
    const float limit = op_f32(top, 1);
    if (!is_clamp(top, silu, -INFINITY, limit) || !match_product(n, n.next(top_at), b) || !same_routing(a, b))
        return false;
    const int clamp_at = n.next(b.last), mul_at = n.next(clamp_at);
    ggml_tensor *clamp = n.at(clamp_at), *mul = n.at(mul_at);
    if (mul == nullptr || !is_clamp(clamp, b.out, -limit, limit)) return false;
    if (mul->op != GGML_OP_MUL || mul->src[0] != top || mul->src[1] != clamp || !is_model_weight(a.mm->src[0]) ||
        !is_model_weight(b.mm->src[0]) || !n.closed({a.last, silu_at, top_at, b.last, clamp_at, mul_at})) {
        return false;
    }
    f = Ffn();
    f.gate = a;
    f.up = b;
    f.glu = mul;
    f.activation.limit = limit;
    return true;
}

// bound * tanh(of / bound), from node `at` on: the index of its last node, or -1.
int match_bounded(const Nodes & n, int at, const ggml_tensor * of, float & bound) {
    const int tanh_at = n.next(at), last = n.next(tanh_at);
    const ggml_tensor *down = n.at(at), *tanh = n.at(tanh_at), *up = n.at(last);
    const auto is_scale = [](const ggml_tensor * t, const ggml_tensor * from) {
        return t != nullptr && t->op == GGML_OP_SCALE && t->src[0] == from && op_f32(t, 1) == 0.0f;
    };
    if (!is_scale(down, of) || !is_unary(tanh, GGML_UNARY_OP_TANH, down) || !is_scale(up, tanh)) return -1;
    bound = op_f32(up, 0);
    return bound > 0.0f && op_f32(down, 0) == 1.0f / bound ? last : -1;
}

// Kimi-K3's: the gate within a bound, times its sigmoid, times the up projection, within a bound too if there is one.
bool match_situ(const Nodes & n, const Product & a, Ffn & f) {
    Activation of;
    of.glu.op = Glu::SiTU;
    const int gate_at = n.next(a.last), bound_at = match_bounded(n, gate_at, a.out, of.glu.alpha);
    if (bound_at < 0) return false;
    const int sigmoid_at = n.next(bound_at), act_at = n.next(sigmoid_at);
    const ggml_tensor *sigmoid = n.at(sigmoid_at), *act = n.at(act_at);
    if (act == nullptr || !is_unary(sigmoid, GGML_UNARY_OP_SIGMOID, a.out) || act->op != GGML_OP_MUL ||
        act->src[0] != n.at(bound_at) || act->src[1] != sigmoid) {
        return false;
    }
    Product b;
    if (!match_product(n, n.next(act_at), b) || !same_routing(a, b)) return false;
    const int up_at = n.next(b.last), up_bound_at = match_bounded(n, up_at, b.out, of.glu.limit);
    const int mul_at = up_bound_at < 0 ? up_at : n.next(up_bound_at);
    ggml_tensor * mul = n.at(mul_at);
    if (mul == nullptr || mul->op != GGML_OP_MUL || mul->src[0] != act ||
        mul->src[1] != (up_bound_at < 0 ? b.out : n.at(up_bound_at)) || !is_model_weight(a.mm->src[0]) ||
        !is_model_weight(b.mm->src[0])) {
        return false;
    }
    int parts[12] = {a.last, gate_at, n.next(gate_at), bound_at, sigmoid_at, act_at, b.last}, n_parts = 7;
    if (up_bound_at >= 0) {
        for (int i = up_at; i <= up_bound_at; i = n.next(i)) {
            parts[n_parts++] = i;
        }
    }
    parts[n_parts++] = mul_at;
    if (!n.closed(parts, n_parts)) return false;
    f = Ffn();
    f.gate = a;
    f.up = b;
    f.glu = mul;
    f.activation = of;
    return true;
}

// One product and its activation: of its square too, if that of the positive ones follows.
bool match_ungated(const Nodes & n, const Product & a, Ffn & f) {
    const int at = n.next(a.last), square_at = n.next(at);
    ggml_tensor *act = n.at(at), *square = n.at(square_at);
    if (act == nullptr || act->op != GGML_OP_UNARY || act->src[0] != a.out || !is_model_weight(a.mm->src[0]))
        return false;
    Activation of;
    of.factor = Activation::ONE;
    switch (ggml_get_unary_op(act)) {
        case GGML_UNARY_OP_RELU:
            of.glu.op = Glu::ReGLU;
            break;
        case GGML_UNARY_OP_SILU:
            of.glu.op = Glu::SwiGLU;
            break;
        case GGML_UNARY_OP_GELU:
            of.glu.op = Glu::GeGLU;
            break;
        default:
            return false;
    }
    f = Ffn();
    f.gate = a;
    f.activation = of;
    if (of.glu.op == Glu::ReGLU && square != nullptr && square->op == GGML_OP_SQR && square->src[0] == act &&
        n.closed({a.last, at, square_at})) {
        f.activation.factor = Activation::ITSELF;
        f.glu = square;
        return true;
    }
    f.glu = act;
    return n.closed({a.last, at});
}

}  // namespace

bool match_ffn(const Nodes & n, int i, Ffn & f) {
    Product a;
    if (!match_product(n, i, a) || (!match_halves(n, a, f) && !match_pair(n, a, f) && !match_limited(n, a, f) &&
                                    !match_situ(n, a, f) && !match_ungated(n, a, f)))
        return false;
    f.out = f.glu;
    f.last = n.find(f.glu, a.last, n.count());
    match_down(n, f.last, f);
    return true;
}

}  // namespace moe

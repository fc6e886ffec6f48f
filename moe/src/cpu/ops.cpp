#include "ops.h"

#include <algorithm>
#include <cmath>

#include "tensor.h"

namespace moe {

namespace {

struct OpCtx {
    const KernelTable * table;
    const ggml_tensor * op;
    std::atomic<int64_t> next{0};
};

// Below this many elements waking other threads costs more than it saves.
constexpr int64_t MIN_PARALLEL = int64_t{32} * 1024;
constexpr int64_t ROWS_PER_TAKE = 8;

struct RowIndex {
    int64_t i1, i2, i3;
    RowIndex(const ggml_tensor * t, int64_t r)
        : i1(r % t->ne[1]), i2(r / t->ne[1] % t->ne[2]), i3(r / t->ne[1] / t->ne[2]) {}
};

void glu_row(const OpCtx & c, int64_t r) {
    const ggml_tensor *op = c.op, *a = op->src[0], *b = op->src[1];
    const RowIndex i(op, r);
    const int64_t n = op->ne[0];
    const float * gate = reinterpret_cast<const float *>(row_at(a, i.i1, i.i2, i.i3));
    const float * up;
    if (b != nullptr) {
        up = reinterpret_cast<const float *>(row_at(b, i.i1, i.i2, i.i3));
    } else {  // both halves in one row; `swapped` puts the gate second
        const bool swapped = op_i32(op, 1) != 0;
        up = gate + (swapped ? 0 : n);
        gate = gate + (swapped ? n : 0);
    }
    c.table->glu(glu_params(op), static_cast<int>(n), gate, up,
                 reinterpret_cast<float *>(row_at(op, i.i1, i.i2, i.i3)));
}

void add_id_row(const OpCtx & c, int64_t r) {
    const ggml_tensor *op = c.op, *a = op->src[0], *b = op->src[1], *ids = op->src[2];
    const RowIndex i(op, r);
    const int32_t e =
        reinterpret_cast<const int32_t *>(static_cast<const char *>(ids->data) + size_t(i.i2) * ids->nb[1])[i.i1];
    const float * x = reinterpret_cast<const float *>(row_at(a, i.i1, i.i2, i.i3));
    float * y = reinterpret_cast<float *>(row_at(op, i.i1, i.i2, i.i3));
    const bool valid = e >= 0 && e < b->ne[1];
    const float * bias = reinterpret_cast<const float *>(row_at(b, valid ? e : 0, 0, 0));
    for (int64_t k = 0; k < op->ne[0]; ++k) {
        y[k] = x[k] + (valid ? bias[k] : 0.0f);
    }
}

template <class Fn>
void binary_row(const OpCtx & c, int64_t r, Fn fn) {
    const ggml_tensor *op = c.op, *a = op->src[0], *b = op->src[1];
    const RowIndex i(op, r);
    const float * x = reinterpret_cast<const float *>(row_at(a, i.i1, i.i2, i.i3));
    const float * z = reinterpret_cast<const float *>(row_at(b, i.i1 % b->ne[1], i.i2 % b->ne[2], i.i3 % b->ne[3]));
    float * y = reinterpret_cast<float *>(row_at(op, i.i1, i.i2, i.i3));
    if (b->ne[0] == 1) {
        const float v = *z;
        for (int64_t k = 0; k < op->ne[0]; ++k) {
            y[k] = fn(x[k], v);
        }
    } else {
        for (int64_t k = 0; k < op->ne[0]; ++k) {
            y[k] = fn(x[k], z[k]);
        }
    }
}

// An activation without a gate: a gated one, whose other factor is one.
void activation_row(const OpCtx & c, int64_t r) {
    const ggml_tensor * op = c.op;
    const RowIndex i(op, r);
    GluParams p;
    const ggml_unary_op unary = ggml_get_unary_op(op);
    p.op = unary == GGML_UNARY_OP_RELU ? Glu::ReGLU : unary == GGML_UNARY_OP_GELU ? Glu::GeGLU : Glu::SwiGLU;
    const float * x = reinterpret_cast<const float *>(row_at(op->src[0], i.i1, i.i2, i.i3));
    float * y = reinterpret_cast<float *>(row_at(op, i.i1, i.i2, i.i3));
    float ones[64];
    std::fill(ones, ones + 64, 1.0f);
    for (int64_t k = 0; k < op->ne[0]; k += 64) {
        c.table->glu(p, static_cast<int>(std::min<int64_t>(64, op->ne[0] - k)), x + k, ones, y + k);
    }
}

template <class Fn>
void each_number(const OpCtx & c, int64_t r, Fn fn) {
    const RowIndex i(c.op, r);
    const float * x = reinterpret_cast<const float *>(row_at(c.op->src[0], i.i1, i.i2, i.i3));
    float * y = reinterpret_cast<float *>(row_at(c.op, i.i1, i.i2, i.i3));
    for (int64_t k = 0; k < c.op->ne[0]; ++k) {
        y[k] = fn(x[k]);
    }
}

void unary_row(const OpCtx & c, int64_t r) {
    switch (ggml_get_unary_op(c.op)) {
        case GGML_UNARY_OP_TANH:
            return each_number(c, r, [](float x) { return std::tanh(x); });
        case GGML_UNARY_OP_SIGMOID:
            return each_number(c, r, [](float x) { return 1.0f / (1.0f + std::exp(-x)); });
        default:
            return activation_row(c, r);
    }
}

void rms_norm_row(const OpCtx & c, int64_t r) {
    const ggml_tensor * op = c.op;
    const RowIndex i(op, r);
    const int64_t n = op->ne[0];
    const float * x = reinterpret_cast<const float *>(row_at(op->src[0], i.i1, i.i2, i.i3));
    float * y = reinterpret_cast<float *>(row_at(op, i.i1, i.i2, i.i3));
    double part[8] = {0};  // independent sums: one alone would wait for each addition
    int64_t k = 0;
    for (; k + 8 <= n; k += 8) {
        for (int j = 0; j < 8; ++j) {
            part[j] += double(x[k + j]) * double(x[k + j]);
        }
    }
    for (; k < n; ++k) {
        part[0] += double(x[k]) * double(x[k]);
    }
    for (int j = 1; j < 8; ++j) {
        part[0] += part[j];
    }
    const float scale = 1.0f / std::sqrt(static_cast<float>(part[0] / double(n)) + op_f32(op, 0));
    for (k = 0; k < n; ++k) {
        y[k] = x[k] * scale;
    }
}

// A scale for each expert, of every token: row r is one number.
void repeat_row(const OpCtx & c, int64_t r) {
    const ggml_tensor * from = c.op->src[0];
    std::memcpy(static_cast<char *>(c.op->data) + size_t(r) * sizeof(float), row_at(from, r % from->ne[1], 0, 0),
                sizeof(float));
}
// The scale of each slot's expert; none for one that is no expert.
void get_row(const OpCtx & c, int64_t r) {
    const ggml_tensor *op = c.op, *from = op->src[0], *ids = op->src[1];
    const RowIndex i(op, r);
    const int32_t e =
        reinterpret_cast<const int32_t *>(static_cast<const char *>(ids->data) + size_t(i.i2) * ids->nb[1])[i.i1];
    const bool valid = e >= 0 && e < from->ne[1];
    const float none = 0.0f;
    std::memcpy(row_at(op, i.i1, i.i2, i.i3), valid ? row_at(from, e, i.i2, 0) : reinterpret_cast<const char *>(&none),
                sizeof none);
}

void one_row(const OpCtx & c, int64_t r) {
    switch (c.op->op) {
        case GGML_OP_GLU:
            glu_row(c, r);
            break;
        case GGML_OP_ADD_ID:
            add_id_row(c, r);
            break;
        case GGML_OP_RMS_NORM:
            rms_norm_row(c, r);
            break;
        case GGML_OP_UNARY:
            unary_row(c, r);
            break;
        case GGML_OP_CLAMP:
            each_number(c, r, [min = op_f32(c.op, 0), max = op_f32(c.op, 1)](float x) {
                return x < min ? min : x > max ? max : x;
            });
            break;
        case GGML_OP_SCALE:
            each_number(c, r, [by = op_f32(c.op, 0), plus = op_f32(c.op, 1)](float x) { return x * by + plus; });
            break;
        case GGML_OP_SQR:
            each_number(c, r, [](float x) { return x * x; });
            break;
        case GGML_OP_REPEAT:
            repeat_row(c, r);
            break;
        case GGML_OP_GET_ROWS:
            get_row(c, r);
            break;
        case GGML_OP_ADD:
            binary_row(c, r, [](float x, float y) { return x + y; });
            break;
        case GGML_OP_MUL:
            binary_row(c, r, [](float x, float y) { return x * y; });
            break;
        default:
            break;
    }
}

void region(void * ctx, int, int, Barrier &) {
    OpCtx & c = *static_cast<OpCtx *>(ctx);
    const int64_t rows = ggml_nrows(c.op);
    for (int64_t r0; (r0 = c.next.fetch_add(ROWS_PER_TAKE, std::memory_order_relaxed)) < rows;) {
        for (int64_t r = r0; r < r0 + ROWS_PER_TAKE && r < rows; ++r) {
            one_row(c, r);
        }
    }
}

}  // namespace

GluParams glu_params(const ggml_tensor * op) {
    GluParams p;
    switch (ggml_get_glu_op(op)) {
        case GGML_GLU_OP_REGLU:
            p.op = Glu::ReGLU;
            break;
        case GGML_GLU_OP_GEGLU:
            p.op = Glu::GeGLU;
            break;
        case GGML_GLU_OP_SWIGLU:
            p.op = Glu::SwiGLU;
            break;
        case GGML_GLU_OP_SWIGLU_OAI:
            p.op = Glu::SwiGLU_OAI;
            break;
        case GGML_GLU_OP_GEGLU_ERF:
            p.op = Glu::GeGLU_Erf;
            break;
        case GGML_GLU_OP_GEGLU_QUICK:
            p.op = Glu::GeGLU_Quick;
            break;
        case GGML_GLU_OP_SWIGLU_CLAMP:
            p.op = Glu::SwiGLU_Clamp;
            break;
        default:
            break;
    }
    p.alpha = op_f32(op, 2);
    p.limit = op_f32(op, 3);
    return p;
}

bool run_simple_op(Team & team, const KernelTable & table, const ggml_tensor * op) {
    switch (op->op) {
        case GGML_OP_GLU:
        case GGML_OP_ADD_ID:
        case GGML_OP_RMS_NORM:
        case GGML_OP_UNARY:
        case GGML_OP_CLAMP:
        case GGML_OP_SCALE:
        case GGML_OP_SQR:
        case GGML_OP_REPEAT:
        case GGML_OP_GET_ROWS:
        case GGML_OP_ADD:
        case GGML_OP_MUL:
            break;
        default:
            return false;
    }
    OpCtx c{&table, op, {0}};
    team.run(ggml_nelements(op) < MIN_PARALLEL ? 1 : team.threads(), region, &c);
    return true;
}

}  // namespace moe

#include "support.h"

#include <cstring>

#include "cpu/attention.h"
#include "cpu/tensor.h"

namespace moe {

// NOLINTNEXTLINE(readability-function-size): a table
bool weight_type(const ggml_tensor * t, WType * out) {
    switch (t->type) {
        case GGML_TYPE_F32:
            *out = WType::F32;
            return true;
        case GGML_TYPE_F16:
            *out = WType::F16;
            return true;
        case GGML_TYPE_BF16:
            *out = WType::BF16;
            return true;
        case GGML_TYPE_Q8_0:
            *out = WType::Q8_0;
            return true;
        case GGML_TYPE_Q4_0:
            *out = WType::Q4_0;
            return true;
        case GGML_TYPE_Q4_1:
            *out = WType::Q4_1;
            return true;
        case GGML_TYPE_Q5_0:
            *out = WType::Q5_0;
            return true;
        case GGML_TYPE_Q5_1:
            *out = WType::Q5_1;
            return true;
        case GGML_TYPE_Q2_K:
            *out = WType::Q2_K;
            return true;
        case GGML_TYPE_Q3_K:
            *out = WType::Q3_K;
            return true;
        case GGML_TYPE_Q4_K:
            *out = WType::Q4_K;
            return true;
        case GGML_TYPE_Q5_K:
            *out = WType::Q5_K;
            return true;
        case GGML_TYPE_Q6_K:
            *out = WType::Q6_K;
            return true;
        case GGML_TYPE_IQ4_NL:
            *out = WType::IQ4_NL;
            return true;
        case GGML_TYPE_IQ4_XS:
            *out = WType::IQ4_XS;
            return true;
        case GGML_TYPE_MXFP4:
            *out = WType::MXFP4;
            return true;
        case GGML_TYPE_NVFP4:
            *out = WType::NVFP4;
            return true;
        case GGML_TYPE_IQ1_S:
            *out = WType::IQ1_S;
            return true;
        case GGML_TYPE_IQ1_M:
            *out = WType::IQ1_M;
            return true;
        case GGML_TYPE_IQ2_XXS:
            *out = WType::IQ2_XXS;
            return true;
        case GGML_TYPE_IQ2_XS:
            *out = WType::IQ2_XS;
            return true;
        case GGML_TYPE_IQ2_S:
            *out = WType::IQ2_S;
            return true;
        case GGML_TYPE_IQ3_XXS:
            *out = WType::IQ3_XXS;
            return true;
        case GGML_TYPE_IQ3_S:
            *out = WType::IQ3_S;
            return true;
        case GGML_TYPE_TQ1_0:
            *out = WType::TQ1_0;
            return true;
        case GGML_TYPE_TQ2_0:
            *out = WType::TQ2_0;
            return true;
        case GGML_TYPE_Q1_0:
            *out = WType::Q1_0;
            return true;
        case GGML_TYPE_Q2_0:
            *out = WType::Q2_0;
            return true;
        default:
            return false;
    }
}

namespace {

bool is_f32_rows(const ggml_tensor * t) {
    return t->type == GGML_TYPE_F32 && t->nb[0] == sizeof(float);
}

// Whether ggml's own kernels take a single row faster than these: where plain C++ runs, and on Arm for the types with a
// codebook, whose indices are looked up one by one in vectors of several rows there.
bool left_to_ggml(WType type, const char * isa) {
    if (std::strcmp(isa, "scalar") == 0) return type > WType::MXFP4;
    const bool arm = std::strcmp(isa, "dotprod") == 0 || std::strcmp(isa, "i8mm") == 0;
    return arm && type >= WType::IQ1_S && type <= WType::IQ3_S;
}

// Weights as they lie in a file: a leaf, rows one after another.
bool is_weight(const ggml_tensor * w) {
    WType type;
    return weight_type(w, &type) && !left_to_ggml(type, kernels().name) && w->op == GGML_OP_NONE &&
           w->view_src == nullptr && ggml_is_contiguous(w) && w->ne[0] > 0 && w->ne[0] <= (1 << 24) &&
           w->ne[1] <= (1 << 24);
}

bool supports_mul_mat(const ggml_tensor * op) {
    const ggml_tensor *w = op->src[0], *x = op->src[1];
    const bool hadamard = op_i32(op, 1) == GGML_HINT_SRC0_IS_HADAMARD;
    // With a matrix for each attention head (MLA), rows of the input have no fourth dimension.
    const bool is_grouped = w->ne[2] == 1 || x->ne[3] == 1;
    return !hadamard && is_weight(w) && is_grouped && w->ne[3] == 1 && is_f32_rows(x) && is_f32_rows(op) &&
           ggml_nrows(x) < (int64_t(1) << 30);
}

bool supports_mul_mat_id(const ggml_tensor * op) {
    const ggml_tensor *w = op->src[0], *x = op->src[1], *ids = op->src[2];
    return is_weight(w) && w->ne[3] == 1 && is_f32_rows(x) && x->ne[3] == 1 && is_f32_rows(op) &&
           (x->ne[1] == 1 || x->ne[1] == ids->ne[0]) && ids->type == GGML_TYPE_I32 && ids->ne[2] == 1 &&
           ids->ne[3] == 1 && ggml_nelements(ids) < (int64_t(1) << 30);
}

bool supports_glu(const ggml_tensor * op) {
    const ggml_tensor *a = op->src[0], *b = op->src[1];
    return ggml_get_glu_op(op) < GGML_GLU_OP_COUNT && is_f32_rows(a) && is_f32_rows(op) &&
           (b == nullptr || is_f32_rows(b));
}

bool supports_add_id(const ggml_tensor * op) {
    const ggml_tensor *a = op->src[0], *b = op->src[1], *ids = op->src[2];
    return is_f32_rows(a) && is_f32_rows(b) && is_f32_rows(op) && a->ne[3] == 1 && b->ne[2] == 1 && b->ne[3] == 1 &&
           ids->type == GGML_TYPE_I32 && ids->nb[0] == sizeof(int32_t);
}

// Rows of src0 with rows, or single values, of src1, repeated over the outer dimensions.
bool supports_binary(const ggml_tensor * op) {
    const ggml_tensor *a = op->src[0], *b = op->src[1];
    return is_f32_rows(a) && is_f32_rows(b) && is_f32_rows(op) && (b->ne[0] == a->ne[0] || b->ne[0] == 1) &&
           ggml_can_repeat(b, a);
}

// The scales of all experts, one for each, repeated for every token; only those, so that nothing else of the routing
// leaves its device.
bool is_repeated_scale(const ggml_tensor * op) {
    const ggml_tensor * reshaped = op->src[0];
    return op->op == GGML_OP_REPEAT && reshaped->op == GGML_OP_RESHAPE && reshaped->src[0]->op == GGML_OP_NONE &&
           is_f32_rows(reshaped) && ggml_is_contiguous(reshaped) && ggml_is_contiguous(op) && op->ne[0] == 1 &&
           reshaped->ne[0] == 1 && op->ne[1] == reshaped->ne[1] && reshaped->ne[2] == 1 && reshaped->ne[3] == 1 &&
           op->ne[3] == 1;
}
bool is_scale_of_used(const ggml_tensor * op) {
    const ggml_tensor * ids = op->src[1];
    return op->op == GGML_OP_GET_ROWS && is_repeated_scale(op->src[0]) && ids->type == GGML_TYPE_I32 &&
           ids->nb[0] == sizeof(int32_t) && ids->ne[1] == op->src[0]->ne[2] && ids->ne[2] == 1 && is_f32_rows(op);
}

// Whether t is an expert product, or comes from one by what llama.cpp puts between it and the down product.
bool is_of_experts(const ggml_tensor * t) {
    switch (t->op) {
        case GGML_OP_MUL_MAT_ID:
            return true;
        case GGML_OP_ADD_ID:
        case GGML_OP_MUL:
        case GGML_OP_UNARY:
        case GGML_OP_SCALE:
            return is_of_experts(t->src[0]);
        default:
            return false;
    }
}
// Activations of experts alone, so that nothing else of the graph leaves its device.
bool supports_activation(const ggml_tensor * op) {
    if (!is_of_experts(op->src[0]) || !is_f32_rows(op->src[0]) || !is_f32_rows(op)) return false;
    if (op->op != GGML_OP_UNARY) return true;
    const ggml_unary_op unary = ggml_get_unary_op(op);
    return unary == GGML_UNARY_OP_RELU || unary == GGML_UNARY_OP_SILU || unary == GGML_UNARY_OP_GELU ||
           unary == GGML_UNARY_OP_TANH || unary == GGML_UNARY_OP_SIGMOID;
}

bool supports_rms_norm(const ggml_tensor * op) {
    return is_f32_rows(op->src[0]) && is_f32_rows(op);
}

}  // namespace

bool supports_op(const ggml_tensor * op) {
    switch (op->op) {
        case GGML_OP_NONE:
        case GGML_OP_RESHAPE:
        case GGML_OP_VIEW:
        case GGML_OP_PERMUTE:
        case GGML_OP_TRANSPOSE:
            return true;
        case GGML_OP_MUL_MAT:
            return supports_mul_mat(op);
        case GGML_OP_MUL_MAT_ID:
            return supports_mul_mat_id(op);
        case GGML_OP_GLU:
            return supports_glu(op);
        case GGML_OP_ADD_ID:
            return supports_add_id(op);
        case GGML_OP_RMS_NORM:
            return supports_rms_norm(op);
        case GGML_OP_FLASH_ATTN_EXT:
            return supports_attention(op);
        case GGML_OP_UNARY:
        case GGML_OP_CLAMP:
        case GGML_OP_SCALE:
        case GGML_OP_SQR:
            return supports_activation(op);
        case GGML_OP_REPEAT:
            return is_repeated_scale(op);
        case GGML_OP_GET_ROWS:
            return is_scale_of_used(op);
        case GGML_OP_ADD:
        case GGML_OP_MUL:
            return supports_binary(op);
        default:
            return false;
    }
}

}  // namespace moe

#include "streaming.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>
#include <string>

#include "ggml-backend.h"
#include "ggml.h"

#include "cache.h"
#include "experts/table.h"
#include "ggml/log.h"
#include "os/process.h"
#include "rates.h"

namespace moe {

namespace {

// Tokens below which no GPU backend of ggml asks for an upload (GGML_OP_OFFLOAD_MIN_BATCH).
constexpr int64_t FEWEST_TOKENS = 32;

// What computing experts here takes beside the products (bench/LOG.md, entry 39): quantizing rows, the activation and
// the sum take the rest of the time, and unpacking a weight takes as long as its products with so many rows. An expert
// of a batch has few rows, so that this counts.
constexpr double SHARE_OF_PRODUCTS = 0.7;
constexpr double ROWS_OF_UNPACKING = 4.5;

ggml_backend_dev_t gpu_of_buffer(const ggml_tensor * t) {
    const ggml_backend_buffer_t b = t->view_src != nullptr ? t->view_src->buffer : t->buffer;
    const ggml_backend_dev_t dev =
        b != nullptr ? ggml_backend_buft_get_device(ggml_backend_buffer_get_type(b)) : nullptr;
    if (dev == nullptr) return nullptr;
    const enum ggml_backend_dev_type type = ggml_backend_dev_type(dev);
    return type == GGML_BACKEND_DEVICE_TYPE_GPU || type == GGML_BACKEND_DEVICE_TYPE_IGPU ? dev : nullptr;
}

// The GPU that computes the input of a product: the one that holds a weight on the way to it, such as the norm's before
// the experts. A graph that reads a GPU's memory runs on that GPU.
ggml_backend_dev_t gpu_before(const ggml_tensor * t, int depth) {
    if (t == nullptr || depth == 0) return nullptr;
    if (ggml_backend_dev_t dev = gpu_of_buffer(t)) return dev;
    for (const ggml_tensor * src : t->src) {  // the nearest first: what lies further back may be another layer's
        ggml_backend_dev_t dev = src != nullptr && depth > 1 ? gpu_of_buffer(src) : nullptr;
        if (dev != nullptr) return dev;
    }
    for (const ggml_tensor * src : t->src) {
        if (ggml_backend_dev_t dev = gpu_before(src, depth - 1)) return dev;
    }
    return nullptr;
}
// From the down projection: activation (the longest is Kimi-K3's, of four operations), bias, product, reshaped input,
// norm times weight, weight.
constexpr int DEPTH = 9;

// llama.cpp's programs may be told to leave such batches on the CPU: they are ours then. (llama-bench: -nopo 0,1)
bool offload_is_off() {
    static const bool off = options_turn_offload_off(os::arguments());
    return off;
}

// What GGML_MOE_GPU_MIN_BATCH says: tokens, 0 for never; -1 if nothing.
int64_t wanted_batch() {
    const char * text = std::getenv("GGML_MOE_GPU_MIN_BATCH");
    if (text == nullptr || *text == '\0') return -1;
    char * end = nullptr;
    const long long n = std::strtoll(text, &end, 10);
    if (*end == '\0' && n >= 0) return n;
    static std::once_flag once;
    std::call_once(once,
                   [&] { log_warn("GGML_MOE_GPU_MIN_BATCH=%s is no number of tokens; measuring instead\n", text); });
    return -1;
}

// An open cache takes its part of small batches only (several users, drafts). Rows of hits need VRAM of their own,
// which nobody has set aside for a whole prompt, and they cross the link as well.
constexpr int64_t MOST_TOKENS_OF_CACHE = 64;

bool is_faster_streamed(const ggml_tensor * mm, ggml_backend_dev_t gpu) {
    const ggml_tensor * w = mm->src[0];
    const int64_t tokens = mm->ne[2];
    ExpertProduct p;
    p.expert_bytes = static_cast<double>(w->nb[2]);
    p.macs_per_row = static_cast<double>(w->ne[0]) * static_cast<double>(w->ne[1]);
    p.experts = static_cast<double>(w->ne[2]);
    p.used = static_cast<double>(mm->ne[1]);
    p.cached = tokens <= MOST_TOKENS_OF_CACHE ? cached_part() : 0;
    return streaming_seconds(p, static_cast<double>(tokens), upload_bytes_per_s(gpu)) <=
           computing_seconds(p, static_cast<double>(tokens), own_macs_per_s());
}

bool product_is_for_gpu(const ggml_tensor * mm) {
    if (mm->op != GGML_OP_MUL_MAT_ID || mm->ne[2] < FEWEST_TOKENS || mm->src[1]->op == GGML_OP_NONE || offload_is_off())
        return false;
    const ggml_backend_dev_t gpu = gpu_before(mm->src[1], DEPTH);
    if (gpu == nullptr || !ggml_backend_dev_supports_op(gpu, mm) || !ggml_backend_dev_offload_op(gpu, mm)) return false;
    const int64_t wanted = wanted_batch();
    if (wanted >= 0) return wanted > 0 && mm->ne[2] >= wanted;
    return is_faster_streamed(mm, gpu);
}

// Experts that at least one of the tokens uses, on average.
double experts_of(const ExpertProduct & p, double tokens) {
    return p.experts * (1 - std::pow(1 - p.used / p.experts, tokens));
}

}  // namespace

double streaming_seconds(const ExpertProduct & p, double tokens, double upload_bytes_per_s) {
    return experts_of(p, tokens) * p.expert_bytes / upload_bytes_per_s;
}

double computing_seconds(const ExpertProduct & p, double tokens, double macs_per_s) {
    const double rows = tokens * p.used + ROWS_OF_UNPACKING * experts_of(p, tokens);
    return (1 - p.cached) * rows * p.macs_per_row / (SHARE_OF_PRODUCTS * macs_per_s);
}

ggml_backend_dev_t note_gpu(const ggml_tensor * op) {
    if (op->op != GGML_OP_MUL_MAT_ID || op->src[0]->buffer == nullptr || op->src[1]->op == GGML_OP_NONE) return nullptr;
    const ggml_backend_dev_t gpu = gpu_before(op->src[1], DEPTH);
    if (gpu == nullptr) return nullptr;
    try {
        if (ExpertTensor * t = expert_tensor(op->src[0])) t->gpu = gpu;
    } catch (const std::bad_alloc &) {  // its experts stay on the CPU
    }
    return gpu;
}

bool is_for_gpu(const ggml_tensor * op) {
    if (op->op == GGML_OP_MUL_MAT_ID) return product_is_for_gpu(op);
    if (op->op != GGML_OP_ADD_ID || !product_is_for_gpu(op->src[0])) return false;
    const ggml_backend_dev_t gpu = gpu_before(op->src[0]->src[1], DEPTH);
    return ggml_backend_dev_supports_op(gpu, op) && ggml_backend_dev_offload_op(gpu, op);
}

}  // namespace moe

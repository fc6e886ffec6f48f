// The expert weights of the process: one entry per tensor, found once, with counters per expert.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "ggml-moe.h"

struct ggml_backend_buffer;
struct ggml_backend_device;
struct ggml_tensor;

namespace moe {

struct ExpertCounter {
    std::atomic<uint64_t> tokens{0};  // routed to it
    std::atomic<uint64_t> reads{0};   // products that read its weights
    std::atomic<int> in_vram{0};      // caches that hold it (down projection)
};

// The weights of one matrix (gate, up or down) of one layer's experts.
struct ExpertTensor {
    uint64_t id = 0;  // of no other tensor that this process ever had
    int32_t layer = 0;
    bool is_down = false;
    int32_t n_expert = 0;
    size_t expert_bytes = 0;
    std::shared_ptr<ExpertCounter[]> counters;        // [n_expert]
    std::atomic<ggml_backend_device *> gpu{nullptr};  // computes the layer around it, if a GPU does
};

// The entry of these weights; null if their name is not "blk.N.…". It lives as long as their buffer. Weights in buffers
// of this library carry it in tensor->extra, so that only the first call of a tensor searches; others, whose end this
// library does not learn of, are found by name under a lock every time. Throws std::bad_alloc.
ExpertTensor * expert_tensor(const ggml_tensor * weights);

// Records one product: count[e] slots went to expert e. No lock, no allocation.
void record(ExpertTensor & t, const int32_t * count);

// What ggml-moe.h offers.
size_t stats_read(ggml_moe_expert_stat * out, size_t capacity);
size_t stats_read_of(const ggml_backend_buffer * buffer, ggml_moe_expert_stat * out, size_t capacity);
void stats_reset();

// The buffer is about to be freed; another may get its address.
void forget_buffer(const ggml_backend_buffer * buffer);

}  // namespace moe

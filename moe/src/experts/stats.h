// Counters per layer and expert, shared by all backends of the process, kept apart by the buffer that holds the
// weights.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ggml-moe.h"

struct ggml_backend_buffer;
struct ggml_tensor;

namespace moe {

// Records one expert product: count[e] slots went to expert e. Tensors not named "blk.N.…" are ignored.
void stats_record(const ggml_tensor * weights, const int32_t * count, int32_t n_expert);

size_t stats_read(ggml_moe_expert_stat * out, size_t capacity);
size_t stats_read_of(const ggml_backend_buffer * buffer, ggml_moe_expert_stat * out, size_t capacity);
void stats_reset();

// The buffer is about to be freed; another may get its address.
void stats_forget(const ggml_backend_buffer * buffer);

}  // namespace moe

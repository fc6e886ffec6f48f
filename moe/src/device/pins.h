// Weights whose pages are locked in host memory, so that a GPU reads them without its driver's detour over a buffer.
#pragma once

#include <cstdint>

#include "ggml-backend.h"

namespace moe {

// With GGML_MOE_PIN=on, asks the backend of this GPU to lock all of the buffer, and waits for it; once for each buffer,
// whatever the answer. With a size, only a buffer that fits into what is left of it. A refusal is told, and costs
// nothing but speed.
//
// All or nothing: a driver may refuse a copy that begins in locked memory and ends outside, and such an error ends the
// program. Off unless asked for: it takes the memory from everything else on the machine.
void pin(ggml_backend_buffer_t weights, ggml_backend_dev_t gpu);

// The memory is about to go.
void unpin(const ggml_backend_buffer * weights);

uint64_t pinned_bytes();

}  // namespace moe

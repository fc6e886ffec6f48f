// Attention (FLASH_ATTN_EXT), where the KV cache is in host memory.
#pragma once

#include "buffer.h"
#include "kernels/kernels.h"
#include "team.h"

struct ggml_tensor;

namespace moe {

bool supports_attention(const ggml_tensor * op);

void run_attention(Team & team, const KernelTable & table, Buffer & scratch, Buffer & partials, const ggml_tensor * op);

}  // namespace moe

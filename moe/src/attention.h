// Attention of a prompt (FLASH_ATTN_EXT of many tokens at once), where the KV cache is in host memory.
#pragma once

#include "kernels/kernels.h"
#include "team.h"

struct ggml_tensor;

namespace moe {

class Buffer;

// Fewer query rows stay with ggml. llama.cpp decides whether to use flash attention at all by a graph of one token per
// sequence, and turns it off if any device but the layer's own would compute it: that graph must not come here.
constexpr int64_t kLeastAttentionTokens = 32;

bool supports_attention(const ggml_tensor * op);
void run_attention(Team & team, const KernelTable & table, Buffer & scratch, const ggml_tensor * op);

}  // namespace moe

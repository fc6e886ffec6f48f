// A row of log-probabilities in 16 bits each, with llama-perplexity's rounding, so that figures agree with its: linear
// between the likeliest token and 16 nats below it; what is less likely still counts as no likelier than that.
#pragma once

#include <cstddef>

namespace shimmy::quality {

// Two floats (scale and minimum), then n_vocab uint16; in this machine's byte order.
constexpr size_t encoded_row_bytes(size_t n_vocab) {
    return 2 * sizeof(float) + 2 * n_vocab;
}

// `log_p`: n_vocab natural-log probabilities, all finite. `out`: encoded_row_bytes(n_vocab) bytes.
void encode_row(const float * log_p, size_t n_vocab, char * out);

// The most likely token comes back exactly, up to float rounding.
void decode_row(const char * in, size_t n_vocab, float * log_p);

}  // namespace shimmy::quality

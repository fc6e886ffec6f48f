// Runs models over a text, in llama-perplexity's way, so that the figures compare with published ones: the text is cut
// into chunks of n_ctx tokens, each starts with the BOS token where the model uses one, and the second half of each
// chunk's tokens is predicted from what stands before them in the chunk.
#pragma once

#include "engine/model.h"
#include "quality/divergence.h"

#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace shimmy::quality {

using OnChunk = std::function<void(size_t done, size_t total)>;

// What the base says at every scored position: log-probabilities, kept in a file without a name that goes with the
// object (positions x vocabulary x 4 bytes: 0.16 GB per chunk of 512 for a vocabulary of 150,000).
class Reference {
public:
    // `load` names the base; its n_ctx is the chunk. `n_chunks` 0: all that the text has. Throws Error if the text has
    // less than one chunk, or the temporary folder is full.
    Reference(const engine::LoadOptions & load, const std::string & text, size_t n_chunks, const OnChunk & on_chunk);

    size_t n_chunks() const { return chunks_.size(); }
    size_t n_vocab() const { return n_vocab_; }

    // The model `load` names against the base. Throws Error if it cuts the text into other tokens.
    Divergence compare(const engine::LoadOptions & load, const OnChunk & on_chunk);

private:
    struct Close {
        void operator()(std::FILE * file) const { std::fclose(file); }
    };

    std::string text_;
    std::vector<std::vector<int32_t>> chunks_;  // of n_ctx tokens
    size_t n_vocab_ = 0;
    std::unique_ptr<std::FILE, Close> file_;
};

}  // namespace shimmy::quality

// Runs models over a text, in llama-perplexity's way, so that the figures compare with published ones: the text is cut
// into chunks of n_ctx tokens, each starts with the BOS token where the model uses one, and the second half of each
// chunk's tokens is predicted from what stands before them in the chunk.
#pragma once

#include "engine/load/load_options.h"
#include "quality/divergence.h"
#include "quality/reference_cache.h"
#include "quality/routing.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace shimmy::quality {

using OnChunk = std::function<void(size_t done, size_t total)>;

// What the base is to be run on.
struct ReferenceOptions {
    engine::LoadOptions load;  // of the base; n_ctx is the chunk
    std::string text;
    size_t n_chunks = 0;  // at most; 0: all that the text has
    // Says what the predictions depend on, for the cache: sha256 of file and text, settings, program.
    Json settings;
};

struct Comparison {
    Divergence figures;
    std::vector<LayerUse> routing;  // empty for a model without experts
};

// What the base says at every scored position: 2 bytes x vocabulary per position (0.08 GB per chunk of 512 for a
// vocabulary of 150,000), in the cache or in a file that goes with the object.
class Reference {
public:
    // From the cache, else by running the base. Throws Error if the text has less than one chunk, the disk is full, or
    // the model's predictions are no numbers.
    Reference(const ReferenceOptions & options, ReferenceCache & cache, const OnChunk & on_chunk);

    size_t n_chunks() const { return file_->n_chunks(); }
    bool from_cache() const { return from_cache_; }

    // The base's own figures; its KL divergence is 0.
    Comparison base() const;

    // The model `load` names against the base. A position counts as equal, with KL divergence 0, if its predictions
    // are the base's to the last of the 16 bits that are kept. Throws Error if it cuts the text into other tokens.
    Comparison compare(engine::LoadOptions load, const OnChunk & on_chunk) const;

private:
    std::unique_ptr<ReferenceFile> make(ReferenceCache & cache, const OnChunk & on_chunk) const;

    ReferenceOptions options_;
    std::unique_ptr<ReferenceFile> file_;
    bool from_cache_ = false;
};

}  // namespace shimmy::quality

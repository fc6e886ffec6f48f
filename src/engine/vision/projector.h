// Internal to the engine: llama.cpp's projector (mtmd), which makes tokens of pictures.
#pragma once

#include "engine/load/load_params.h"
#include "engine/vision/image.h"

#include "llama-cpp.h"

#include <memory>
#include <string>
#include <vector>

struct mtmd_context;
struct mtmd_input_chunk;

namespace shimmy::engine {

// In a text with pictures.
struct Picture {
    size_t begin = 0;        // its first position
    size_t n_positions = 0;  // fewer than tokens with M-RoPE, which counts the longer side
    size_t n_tokens = 0;     // of the context that it takes
    std::shared_ptr<const mtmd_input_chunk> chunk;

    size_t end() const { return begin + n_positions; }
};

// A prompt as a context computes it: one token per position. All positions of a picture hold the same negative number,
// which no other picture has.
struct PicturedTokens {
    std::vector<llama_token> tokens;
    std::vector<Picture> pictures;  // in order

    // Tokens of context that the first `n_positions` take; pictures that end behind them do not count.
    size_t n_cells(size_t n_positions) const;
    size_t n_cells() const { return n_cells(tokens.size()); }
};

class Projector {
public:
    // The user's --mmproj; nullptr: there is none. Throws Error for one that cannot be read, does not belong to the
    // model, or knows no pictures.
    static std::unique_ptr<Projector> load(const LoadParams & params, const llama_model * model);
    ~Projector();

    // Stands in a text for a picture. Nobody can guess it.
    const std::string & mark() const { return mark_; }

    // `text` with a mark for each of `images`. Throws Error for one that cannot be decoded.
    PicturedTokens tokenize(const std::string & text, const std::vector<Image> & images);

    // Computes a picture behind what `context` holds. Throws Error.
    void compute(const Picture & picture, llama_context * context);

private:
    Projector(std::string name, std::string mark);
    void append(const mtmd_input_chunk * chunk, PicturedTokens & into);

    std::string name_;  // of the file, for messages
    std::string mark_;
    std::unique_ptr<mtmd_context, void (*)(mtmd_context *)> context_;
    std::vector<std::string> seen_;  // pictures, by their hash: a picture's number is its place
};

}  // namespace shimmy::engine

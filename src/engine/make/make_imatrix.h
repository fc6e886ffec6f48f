// An importance matrix, made by llama.cpp's own llama-imatrix, which comes with the program.
#pragma once

#include "engine/load/load_options.h"

#include <cstdint>
#include <filesystem>
#include <functional>

namespace shimmy::engine {

struct ImatrixOptions {
    LoadOptions load;              // the model; n_ctx is the chunk
    std::filesystem::path text;    // UTF-8
    std::filesystem::path output;  // GGUF
    int n_chunks = 0;              // at most; 0: all that the text has
};

// Writes the output whole or not at all. Throws Error with llama-imatrix's reason, Interrupted on Ctrl-C.
void make_imatrix(const ImatrixOptions & options, const std::function<void(uint64_t done, uint64_t total)> & on_chunk);

}  // namespace shimmy::engine

// shimmy quantize --target-size, --target-vram: types per group of tensors, by measured sensitivity.
#pragma once

#include "base/files.h"
#include "base/json.h"
#include "cli/command.h"
#include "engine/load/load_options.h"

#include <string>

namespace shimmy::cli {

struct TargetOptions {
    std::string size;  // "6GiB": of the file; empty: any
    std::string vram;  // "8GiB": of model, KV cache and compute buffers with the placement; empty: any
    std::string text;  // evaluation text
    int n_chunks = 16;
    engine::LoadOptions load;  // n_ctx: the context that the VRAM is for

    bool is_set() const { return !size.empty() || !vram.empty(); }
};

void add_target_options(CLI::App & command, TargetOptions & target, Globals & globals);

// Writes `<stem>-<target>.gguf` into `dir`: the mix that sensitivity suggests, or the largest plain quantization within
// the target if that is measured to be as good. Throws Error if the target cannot be kept.
Json quantize_to_target(const TargetOptions & target, const fs::path & input, const std::string & stem,
                        const fs::path & dir, const std::string & imatrix, const Globals & globals);

}  // namespace shimmy::cli

// The best file of at most a size, or within some VRAM: types per group of tensors, by measured sensitivity.
#pragma once

#include "base/files.h"
#include "engine/layout/tensor_override.h"
#include "engine/load/load_options.h"
#include "quality/divergence.h"
#include "quality/search/type_search.h"

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace shimmy::quality {

inline constexpr uint64_t NO_LIMIT = std::numeric_limits<uint64_t>::max();

struct TargetOptions {
    fs::path input;
    std::string imatrix;   // file; empty: none
    fs::path text;         // evaluation text
    size_t n_chunks = 16;  // 0: all of it
    uint64_t max_size_bytes = NO_LIMIT;
    uint64_t max_vram_bytes = NO_LIMIT;  // of model, KV cache and compute buffers
    std::string described;               // the limits as messages say them: "6GiB of file and 8GiB of VRAM"
    engine::LoadOptions load;            // device, placement; n_ctx: the context that the VRAM is for
    bool quiet = false;
};

// A file that was written and measured.
struct TargetFile {
    std::string quantization;                   // plain, or of what the groups leave out
    std::vector<engine::TensorOverride> types;  // parallel to the groups; empty: plain
    fs::path path;
    uint64_t size_bytes = 0;
    std::optional<uint64_t> vram_bytes;  // if it is limited
    Divergence figures;
};

struct TargetResult {
    std::vector<TensorGroup> groups;  // with what each type of each costs
    TargetFile mix;
    std::optional<TargetFile> plain;  // the largest plain quantization within the target

    bool mix_is_better() const { return !plain || mix.figures.mean_kld < plain->figures.mean_kld; }
    const TargetFile & kept() const { return mix_is_better() ? mix : *plain; }
};

// How many files a search writes and measures: those of the sensitivity, the mix, and the plain type beside it. A mix
// that comes out too large is written again, but not measured.
size_t n_searched_files(const fs::path & model, engine::Placement placement);

// Writes `path`: the mix that sensitivity suggests, or the largest plain quantization within the target if that is
// measured to be as good. Throws Error if the target cannot be kept, before anything is measured if that is certain.
TargetResult quantize_to_target(const TargetOptions & target, const fs::path & path);

}  // namespace shimmy::quality

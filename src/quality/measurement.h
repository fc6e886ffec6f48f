// Files measured against a base: what all runs of one measurement share.
#pragma once

#include "engine/load/load_options.h"
#include "quality/evaluate.h"
#include "quality/reference_cache.h"

#include <cstdint>
#include <functional>
#include <string>

namespace shimmy::quality {

// Of the check of offloading, whose small batches read all experts again and again: a wrong kernel shows in some
// hundred tokens.
inline constexpr int MAX_OFFLOAD_CHUNKS = 8;

struct MeasurementOptions {
    engine::LoadOptions load;  // of every run but for its file and how it is run; n_ctx is the chunk
    std::string check_device;  // of offload_against_baseline(); empty: that of `load`
    std::string text;
    bool uses_moe_backend = false;
    fs::path cache_folder;  // of the base's predictions; empty: nothing is kept
    uint64_t cache_bytes = 0;
    std::function<std::string(const std::string & file)> sha256;
    std::function<OnChunk(const std::string & label)> progress;  // of one run
    std::function<void(const std::string & note)> on_note;       // of the cache, for people
};

// How a file is run.
struct RunAs {
    engine::Placement placement;
    int n_chunks = 0;  // at most; 0: all
    uint32_t n_ubatch = engine::LoadOptions().n_ubatch;
    std::string device = {};  // empty: that of the options
    uint32_t n_ctx = 0;       // tokens of a chunk at most; 0: as the options have it
};

class Measurement {
public:
    // Throws UsageError for chunks too short to score anything worth the name.
    explicit Measurement(MeasurementOptions options);

    Reference reference(const std::string & base, const RunAs & as);
    Comparison compare(const Reference & reference, const std::string & file, const RunAs & as) const;

    // One file with its experts on the CPU against everything on the device, in the batches of decoding, over some
    // hundred tokens: a wrong kernel shows in those. Fewer on a software GPU, which computes some tokens a second: one
    // chunk of 64.
    Comparison offload_against_baseline(const std::string & file, int n_chunks);

private:
    engine::LoadOptions load_options(const std::string & file, const RunAs & as) const;
    Json settings(const engine::LoadOptions & load, int n_chunks) const;

    MeasurementOptions options_;
    ReferenceCache cache_;
};

}  // namespace shimmy::quality

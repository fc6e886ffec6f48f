// Models from the Hub into the cache of this machine.
#pragma once

#include "hub/api/api.h"
#include "hub/api/repository.h"
#include "hub/download/cache.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace shimmy::hub {

struct ModelName {
    std::string repo;          // USER/NAME
    std::string quantization;  // empty: the only one there
    std::string revision = MAIN;
};

// "USER/NAME", "USER/NAME:QUANT", "USER/NAME@REVISION", "USER/NAME@REVISION:QUANT"; an "hf:" before it may be left out.
// Throws UsageError.
ModelName parse_model_name(const std::string & text);

// True for "hf:…".
bool is_hub_name(const std::string & text);

struct PulledModel {
    std::vector<fs::path> files;  // in the cache; of a split model every part, the first one first
    std::string commit;
    uint64_t size_bytes = 0;
    uint64_t fetched_bytes = 0;  // now; 0: all was there
};

// The model's files in the cache, downloaded as far as they are not there: going on where an earlier download was, each
// checked against the hash that the Hub names for it. With HF_HUB_OFFLINE the cache must have them. Throws Error.
PulledModel pull_model(const Environment & environment, const ModelName & name, const Note & note,
                       const ByteProgress & progress);

// The same without any request: what the cache has of the branch as it was last seen; nullopt if that is no whole
// model.
std::optional<PulledModel> find_in_cache(const Environment & environment, const ModelName & name);

}  // namespace shimmy::hub

// Quantizations with types of their own for some tensors, as a campaign defines them.
#pragma once

#include "base/files.h"
#include "base/text/toml_reader.h"
#include "engine/layout/tensor_override.h"

#include <string>
#include <vector>

namespace shimmy::lab {

struct Mix {
    std::string name;                                       // as `quantizations` lists it; in tables and file names
    std::string type = {};                                  // of all tensors that no pattern matches
    std::vector<engine::TensorOverride> tensor_types = {};  // the first whose pattern matches decides
    // In place of both: the best file of at most this size, found by measuring, as `shimmy quantize --target-size`
    // does.
    std::string target_size = {};  // "8GiB"
    fs::path text = {};            // what is measured on
    int chunks = 0;                // of 512 tokens of it

    bool is_searched() const { return !target_size.empty(); }
    // What it is made of, for documents and as a part of the settings: "Q4_K_M with ffn_down_exps=q6_K", "the best
    // types for at most 8GiB, measured on 16 chunks of eval.txt".
    std::string recipe() const;
};

// The list [[mixes]]. Paths are relative to `base`. Throws UsageError with file:line.
std::vector<Mix> read_mixes(TomlReader & reader, const std::string & file, const fs::path & base);

}  // namespace shimmy::lab

// A measurement to hand on: results, figures, environment, commands and documents of a campaign in one folder or .tar
// file, without the models. docs/LAB.md has its files.
#pragma once

#include "base/files.h"
#include "base/json.h"

#include <string>

namespace shimmy::report {

struct Bundle {
    fs::path path;
    size_t n_files = 0;
    uint64_t n_bytes = 0;
    std::string manifest_sha256;
};

// Of the campaign in `out_dir`, at `target`: a .tar file where the name ends so, otherwise a folder. Throws UsageError
// if something is there already, Error if the documents in the folder are not those of its results.
Bundle write_bundle(const fs::path & out_dir, const fs::path & target);

// Where the figures of two summaries differ, as "cells/3/decode_tps/median: 12.3, recomputed 12.4"; empty if they are
// equal to nine digits. Only what `stored` has is looked at, without paths and what people wrote.
std::string figures_difference(const Json & stored, const Json & recomputed);

}  // namespace shimmy::report

// SHA-256 of a campaign's model files, from the cache in its folder, with a progress bar per file that must be read.
#pragma once

#include "base/process/progress.h"
#include "lab/plan/hash_cache.h"
#include "lab/plan/plan.h"

#include <optional>

namespace shimmy::lab {

class Hasher {
public:
    Hasher(const Campaign & campaign, bool quiet);

    std::string sha256(const fs::path & file);

    // Of what the variant is made from: a file, with its importance matrix, or a shape.
    std::string input_sha256(const Campaign & campaign, const Variant & variant);

    // Writes the cache.
    void save();

private:
    HashCache cache_;
    bool quiet_;
    std::optional<Progress> progress_;
};

}  // namespace shimmy::lab

// SHA-256 of model files for the documents of commands, kept in the cache folder.
#pragma once

#include "lab/plan/hash_cache.h"

#include <string>

namespace shimmy::cli {

class ModelHashes {
public:
    // `folder` empty: nothing is kept. `quiet`: no bar on stderr.
    ModelHashes(fs::path folder, bool quiet);

    std::string sha256(const std::string & file);

private:
    void save();

    fs::path folder_;
    bool quiet_;
    lab::HashCache hashes_;
};

}  // namespace shimmy::cli

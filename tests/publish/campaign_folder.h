// A finished campaign on disk, whose model files are real and whose figures are known: what `shimmy publish` reads.
#pragma once

#include "base/files.h"
#include "base/json.h"
#include "temp_dir.h"

#include <string>

namespace shimmy::e2e {

class CampaignFolder {
public:
    // Of the embedded model in Q4_K_M and Q2_K. `model_keys`: more lines of its [[models]] table; `q4_k_m`: another
    // file in place of that.
    explicit CampaignFolder(const std::string & model_keys = "license = \"mit\"\n", const fs::path & q4_k_m = {});

    fs::path file() const { return dir_ / "tiny.toml"; }
    fs::path out() const { return dir_ / "out"; }
    fs::path model(const std::string & type) const { return out() / "models" / ("tiny-moe-" + type + ".gguf"); }
    fs::path result(const std::string & type) const;  // of one run
    fs::path dir() const { return dir_.path(); }
    Json publish_json() const;

private:
    TempDir dir_;
};

}  // namespace shimmy::e2e

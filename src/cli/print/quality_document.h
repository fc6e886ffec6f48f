// What `shimmy quality` prints.
#pragma once

#include "base/json.h"
#include "gguf/model_info.h"
#include "quality/evaluate.h"

#include <string>
#include <vector>

namespace shimmy::cli {

struct MeasuredModel {
    gguf::ModelInfo info;
    std::string file;
    std::string sha256;
    quality::Comparison result;
};

// An entry of `models` in the document.
Json to_json(const MeasuredModel & model);

// For people: figures, then the routers, then which experts were never chosen. The first model is the base.
std::string quality_text(const std::vector<MeasuredModel> & models);

// Offload of a file against the baseline of the same file.
struct OffloadCheck {
    std::string file;
    std::string quantization;
    quality::Divergence figures;
    double bound = 0.0;  // of mean_kld
    bool within_bound() const { return figures.mean_kld <= bound; }
};

Json to_json(const OffloadCheck & check);
std::string offload_text(const std::vector<OffloadCheck> & checks);

}  // namespace shimmy::cli

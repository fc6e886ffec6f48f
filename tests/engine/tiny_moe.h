// The embedded model, its evaluation text, and how far two of its runs are apart.
#pragma once

#include "base/files.h"
#include "engine/device/device.h"
#include "engine/run/model.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace shimmy::engine {

inline const std::string TINY_MOE = std::string(SHIMMY_SOURCE_DIR) + "/models/tiny-moe/tiny-moe-f16.gguf";
inline const std::string EVAL_TEXT = std::string(SHIMMY_SOURCE_DIR) + "/models/tiny-moe/eval.txt";

inline LoadOptions options_for(const std::string & device, Placement placement) {
    load_backends();
    LoadOptions options;
    options.path = TINY_MOE;
    options.device = device;
    options.placement = placement;
    options.n_ctx = 512;
    return options;
}

// Mean over positions of KL(p || q), from natural-log probabilities.
inline double mean_kl(const std::vector<float> & log_p, const std::vector<float> & log_q, size_t n_vocab) {
    double sum = 0.0;
    for (size_t i = 0; i < log_p.size(); ++i)
        sum += std::exp(log_p[i]) * (static_cast<double>(log_p[i]) - log_q[i]);
    return sum / (static_cast<double>(log_p.size()) / static_cast<double>(n_vocab));
}

inline std::vector<int32_t> eval_tokens(const Model & model, size_t n) {
    std::vector<int32_t> tokens = model.tokenize(read_file(EVAL_TEXT).substr(0, 8192), /*parse_special=*/true);
    tokens.resize(std::min(n, tokens.size()));
    return tokens;
}

}  // namespace shimmy::engine

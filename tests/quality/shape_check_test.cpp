// A model's metadata against a shape: every line, and both sides of what is near enough.
#include "quality/shape_check.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace shimmy::quality {
namespace {

using Lines = std::vector<std::string>;

gguf::ModelInfo model() {
    gguf::ModelInfo info;
    info.arch = "phimoe";
    info.n_layers = 32;
    info.n_expert = 16;
    info.n_expert_used = 2;
    info.n_expert_shared = 1;
    info.n_params = 1000;
    info.n_active_params = 200;
    info.n_ctx_train = 4096;
    info.n_expert_tensors = 96;
    return info;
}

// "status what: expected, got" of each.
Lines lines(const gguf::Expectations & expect, const gguf::ModelInfo & info) {
    Lines lines;
    for (const ShapeCheck & check : check_metadata(expect, info))
        lines.push_back(fmt::format("{} {}: {}, {}", to_string(check.status), check.what, check.expected, check.got));
    return lines;
}

TEST(CheckMetadata, EveryValueThatAShapeNames) {
    gguf::Expectations all;
    all.arch = "phimoe";
    all.n_layers = 32, all.n_expert = 16, all.n_expert_used = 2, all.n_expert_shared = 1;
    all.n_params = 1000, all.n_active_params = 200;
    all.n_ctx_train = 4096, all.n_expert_tensors = 96;
    EXPECT_EQ(lines(all, model()),
              (Lines{"pass architecture: phimoe, phimoe", "pass layers: 32, 32", "pass experts: 16, 16",
                     "pass active experts: 2, 2", "pass shared experts: 1, 1",
                     "pass parameters: 1.0K ± 1%, 1.0K (1000)", "pass active parameters: 200 ± 1%, 200 (200)",
                     "pass context length: 4096, 4096", "pass expert tensors: 96, 96"}));
    for (const ShapeCheck & check : check_metadata(all, gguf::ModelInfo{}))
        EXPECT_EQ(check.status, CheckStatus::fail) << check.what;
    EXPECT_EQ(lines({}, model()), Lines{}) << "what a shape does not name is not checked";
}

TEST(CheckMetadata, ParametersWithinTheTolerance) {
    gguf::Expectations expect;
    expect.n_params = 1000;
    for (const auto & [n_params, status] : std::map<uint64_t, CheckStatus>{{989, CheckStatus::fail},
                                                                           {990, CheckStatus::pass},
                                                                           {1010, CheckStatus::pass},
                                                                           {1011, CheckStatus::fail}}) {
        gguf::ModelInfo info = model();
        info.n_params = n_params;
        EXPECT_EQ(check_metadata(expect, info).at(0).status, status) << n_params;
    }
}

}  // namespace
}  // namespace shimmy::quality

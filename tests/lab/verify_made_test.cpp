// Files that a campaign made, right and wrong ones.
#include "lab/run/verify_made.h"

#include "base/error.h"
#include "engine/make/quantize.h"
#include "lab/run/real_hooks.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

namespace shimmy::lab {
namespace {

const fs::path TINY_MOE = fs::path(SHIMMY_SOURCE_DIR) / "models/tiny-moe/tiny-moe-f16.gguf";

class VerifyMade : public ::testing::Test {
protected:
    VerifyMade() {
        CampaignModel model;
        model.path = TINY_MOE;
        input_ = read_input_info(model);
        variant_ = {"tiny-moe", "Q8_0", dir_ / "made.gguf", TINY_MOE, 0};
    }

    void make(const std::string & type, const std::vector<engine::TensorOverride> & overrides = {}) const {
        engine::QuantizeOptions options;
        options.input = TINY_MOE;
        options.output = variant_.path;
        options.type = type;
        options.tensor_types = overrides;
        engine::quantize(options, {});
    }

    std::string error() const {
        try {
            verify_made(variant_, input_, engine::plan_tensors(TINY_MOE, variant_.quantization));
        } catch (const Error & error) {
            return error.what();
        }
        return "";
    }

    TempDir dir_;
    InputInfo input_;
    Variant variant_;
};

TEST_F(VerifyMade, WhatTheQuantizerAnnouncedIsRight) {
    make("Q8_0");
    EXPECT_EQ(error(), "");
}

TEST_F(VerifyMade, AnotherTypeIsNot) {
    make("Q4_K_M");
    EXPECT_NE(error().find("the quantization is Q4_K_M instead of Q8_0"), std::string::npos) << error();
}

TEST_F(VerifyMade, OneTensorOfAnotherTypeIsNot) {
    make("Q8_0", {{"blk\\.2\\.ffn_up_exps", "q4_0"}});
    EXPECT_NE(error().find("the type of blk.2.ffn_up_exps.weight is q4_0 instead of q8_0"), std::string::npos)
        << error();
}

TEST_F(VerifyMade, AFileThatEndsEarlyIsNot) {
    make("Q8_0");
    fs::resize_file(variant_.path, fs::file_size(variant_.path) - 100);
    EXPECT_NE(error().find(variant_.path.string()), std::string::npos) << error();
}

}  // namespace
}  // namespace shimmy::lab

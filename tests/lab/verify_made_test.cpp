// Files that a campaign made, right and wrong ones.
#include "lab/run/verify_made.h"

#include "base/error.h"
#include "engine/make/quantize.h"
#include "gguf/model_info.h"
#include "lab/plan/campaign_plan.h"
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
            verify_made(variant_, variant_.quantization, input_, engine::plan_tensors(TINY_MOE, variant_.quantization));
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
    EXPECT_NE(error().find("the quantization is Q4_K_M, expected Q8_0"), std::string::npos) << error();
}

TEST_F(VerifyMade, OneTensorOfAnotherTypeIsNot) {
    make("Q8_0", {{"blk\\.2\\.ffn_up_exps", "q4_0"}});
    EXPECT_NE(error().find("the type of blk.2.ffn_up_exps.weight is q4_0, expected q8_0"), std::string::npos)
        << error();
}

// Each fact of the file on its own.
TEST_F(VerifyMade, EveryFactIsCompared) {
    make("Q8_0");
    const engine::TensorPlan plan = engine::plan_tensors(TINY_MOE, "Q8_0");
    const auto said = [&](const InputInfo & input, const engine::TensorPlan & expected) {
        try {
            verify_made(variant_, variant_.quantization, input, expected);
        } catch (const Error & error) {
            const std::string text = error.what();
            return text.substr(text.rfind(": ") + 2);
        }
        return std::string();
    };
    EXPECT_EQ(said(input_, plan), "");
    InputInfo other = input_;
    other.arch = "phimoe";
    EXPECT_EQ(said(other, plan), "the architecture is " + input_.arch + ", expected phimoe");
    other = input_;
    ++other.n_layer;
    EXPECT_EQ(said(other, plan), fmt::format("the number of layers is {}, expected {}", input_.n_layer, other.n_layer));
    other = input_;
    ++other.n_expert;
    EXPECT_EQ(said(other, plan),
              fmt::format("the number of experts is {}, expected {}", input_.n_expert, other.n_expert));
    engine::TensorPlan changed = plan;
    changed.tensors.pop_back();
    EXPECT_EQ(said(input_, changed),
              fmt::format("the number of tensors is {}, expected {}", plan.tensors.size(), changed.tensors.size()));
    changed = plan;
    changed.tensors[1].name = "absent";
    EXPECT_EQ(said(input_, changed), "absent is missing, expected present");
    changed = plan;
    changed.tensors[1].shape.push_back(7);
    EXPECT_NE(said(input_, changed).find("the shape of " + plan.tensors[1].name + " is "), std::string::npos);
    changed = plan;
    ++changed.tensors[1].bytes;
    EXPECT_EQ(said(input_, changed), fmt::format("the size of {} is {}, expected {}", plan.tensors[1].name,
                                                 plan.tensors[1].bytes, changed.tensors[1].bytes));
}

// What campaigns really read and make.
TEST_F(VerifyMade, TheHooksOfAProgram) {
    EXPECT_EQ(input_.quantization, "F16");
    EXPECT_FALSE(input_.already_quantized);
    EXPECT_EQ(input_.n_expert, 16);
    const Hooks hooks = real_hooks({});
    Campaign campaign;
    campaign.models.resize(2);
    campaign.models[0].path = TINY_MOE;
    campaign.models[1].shape = "olmoe-1b-7b";
    campaign.models[1].n_layers = 1;
    campaign.models[1].sparse = true;
    uint64_t last = 0;
    hooks.make_variant(campaign, variant_, [&](uint64_t done, uint64_t total) {
        EXPECT_LE(done, total);
        last = done;
    });
    EXPECT_GT(last, 0U);
    EXPECT_EQ(error(), "");
    const uint64_t announced = hooks.variant_bytes(campaign, variant_);
    EXPECT_LE(announced, fs::file_size(variant_.path));
    EXPECT_LT(fs::file_size(variant_.path) - announced, uint64_t{4} << 20) << "metadata beside the tensors";
    EXPECT_TRUE(read_input_info({"made", variant_.path, {}}).already_quantized);
    // Four layers, the first dense: attention and other FFNs in four groups each, gate and up, and down, in three each,
    // and two tables. Then six types of all of them, the mix, and a plain type.
    EXPECT_EQ(hooks.n_searched_files(campaign, variant_), 4U + 4U + 3U + 3U + 2U + 6U + 2U);
    const InputInfo shape = hooks.read_input(campaign.models[1]);
    EXPECT_EQ(shape.arch, "olmoe");
    EXPECT_EQ(shape.n_layer, 1) << "as many as were asked for";
    EXPECT_EQ(shape.n_expert, 64);
    EXPECT_EQ(shape.n_ctx_train, 4096);
    const Variant synthetic{"s", "Q4_K_M", dir_ / "s.gguf", "", 1};
    EXPECT_EQ(hooks.variant_bytes(campaign, synthetic), 0U) << "it is a hole";
    const uint64_t loaded = hooks.loaded_bytes(campaign, synthetic);
    EXPECT_EQ(hooks.loaded_bytes(campaign, variant_), announced);
    campaign.models[1].sparse = false;
    EXPECT_GT(hooks.variant_bytes(campaign, synthetic), uint64_t{1} << 20);
    EXPECT_EQ(hooks.variant_bytes(campaign, synthetic), loaded) << "read at its full size, sparse or not";
}

// The file says the type of most tensors, and the others are checked against the mix.
TEST_F(VerifyMade, AMixIsMadeAsItsRecipeSays) {
    const Hooks hooks = real_hooks({});
    Campaign campaign;
    campaign.models.resize(1);
    campaign.models[0].path = TINY_MOE;
    campaign.mixes = {{"down8", "Q4_0", {{"ffn_down_exps", "q8_0"}}}};
    variant_.quantization = "down8";
    hooks.make_variant(campaign, variant_, [](uint64_t, uint64_t) {});
    const gguf::GgufFile file(variant_.path);
    EXPECT_EQ(gguf::read_model_info(file).quantization, "Q4_0");
    for (const gguf::TensorInfo & tensor : file.tensors()) {
        if (tensor.name.find("_exps.weight") != std::string::npos) {
            EXPECT_EQ(tensor.type, tensor.name.find("ffn_down") != std::string::npos ? "q8_0" : "q4_0") << tensor.name;
        }
    }
    const uint64_t announced = hooks.variant_bytes(campaign, variant_);
    EXPECT_LE(announced, fs::file_size(variant_.path));
    EXPECT_LT(fs::file_size(variant_.path) - announced, uint64_t{4} << 20) << "metadata beside the tensors";
    Variant searched = variant_;
    searched.quantization = "best";
    campaign.mixes.push_back({"best", "", {}, "5MiB", "eval.txt", 16});
    EXPECT_EQ(hooks.variant_bytes(campaign, searched), uint64_t{5} << 20);
}

TEST_F(VerifyMade, AFileThatEndsEarlyIsNot) {
    make("Q8_0");
    fs::resize_file(variant_.path, fs::file_size(variant_.path) - 100);
    EXPECT_NE(error().find(variant_.path.string()), std::string::npos) << error();
}

}  // namespace
}  // namespace shimmy::lab

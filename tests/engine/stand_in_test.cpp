// A model's header over a hole, beside the file that llama.cpp's quantizer really writes.
#include "engine/layout/stand_in.h"

#include "base/error.h"
#include "engine/layout/tensor_plan.h"
#include "engine/make/quantize.h"
#include "engine/make/synthesize.h"
#include "engine/predict/estimate.h"
#include "gguf/model_info.h"
#include "tiny_moe.h"
#include "tiny_shape.h"

#include <gtest/gtest.h>

#include <sys/stat.h>
#include <algorithm>
#include <cstdlib>

namespace shimmy::engine {
namespace {

class StandInTest : public ::testing::Test {
protected:
    StandInTest() : shape_(gguf::with_layers(tiny_shape(dir_), 3)) {
        load_backends();
        SynthOptions synth;
        synth.shape = shape_;
        synth.output = model_;
        synth.sparse = true;
        synthesize(synth);
    }

    static std::vector<std::string> tensors_of(const fs::path & path) {
        std::vector<std::string> result;
        const gguf::GgufFile file(path);
        for (const gguf::TensorInfo & tensor : file.tensors())
            result.push_back(fmt::format("{} {} {}", tensor.name, tensor.type, fmt::join(tensor.shape, "x")));
        std::sort(result.begin(), result.end());
        return result;
    }

    const TempDir dir_;
    const fs::path model_ = dir_ / "model.gguf";
    gguf::Shape shape_;
};

// As many parameters as the makers of the models publish: from llama.cpp's own tensors for the metadata.
TEST(Shapes, HaveThePublishedNumberOfParameters) {
    for (const std::string & name : gguf::shape_names()) {
        SCOPED_TRACE(name);
        const gguf::Shape shape = gguf::load_shape(name);
        const StandIn model(shape, shape.quantization);
        const gguf::ModelInfo info = gguf::read_model_info(model.path());
        const gguf::Expectations & expect = shape.expect;
        EXPECT_NEAR(static_cast<double>(info.n_params) / *expect.n_params, 1.0, expect.tolerance);
        EXPECT_NEAR(static_cast<double>(info.n_active_params) / *expect.n_active_params, 1.0, expect.tolerance);
        if (expect.n_expert_tensors) {
            EXPECT_EQ(info.n_expert_tensors, *expect.n_expert_tensors);
        }
    }
}

TEST_F(StandInTest, HoldsTheTensorsOfTheModelAndNoWeights) {
    fs::path path;
    {
        const StandIn stand_in(model_, "");
        path = stand_in.path();
        EXPECT_EQ(stand_in.quantization(), "F16");
        EXPECT_EQ(stand_in.size_bytes(), fs::file_size(path));
        EXPECT_EQ(tensors_of(path), tensors_of(model_));
        EXPECT_EQ(gguf::read_model_info(path).n_vocab, 512);
        EXPECT_EQ(gguf::read_model_info(path).quantization, "F16");
        struct stat status {};
        ASSERT_EQ(::stat(path.c_str(), &status), 0);
        EXPECT_LT(static_cast<uint64_t>(status.st_blocks) * 512, stand_in.size_bytes() / 10) << "a hole";
    }
    EXPECT_FALSE(fs::exists(path));
}

TEST_F(StandInTest, IsWhatTheQuantizerWouldMake) {
    QuantizeOptions options;
    options.input = model_;
    options.output = dir_ / "quantized.gguf";
    options.type = "Q4_K_M";
    options.n_threads = 1;
    quantize(options);
    const gguf::ModelInfo real = gguf::read_model_info(options.output);
    const StandIn of_file(model_, "q4_k");
    EXPECT_EQ(of_file.quantization(), "Q4_K_M");
    const StandIn of_shape(shape_, "q4_k_m");
    EXPECT_EQ(of_shape.quantization(), "Q4_K_M");
    for (const StandIn * stand_in : {&of_file, &of_shape}) {
        EXPECT_EQ(tensors_of(stand_in->path()), tensors_of(options.output));
        const gguf::ModelInfo info = gguf::read_model_info(stand_in->path());
        EXPECT_EQ(info.quantization, "Q4_K_M");
        EXPECT_EQ(info.tensor_bytes, real.tensor_bytes);
        EXPECT_EQ(stand_in->size_bytes(), info.size_bytes);
    }
    EXPECT_EQ(gguf::read_model_info(of_shape.path()).name, "Tiny");
    EXPECT_EQ(StandIn(shape_, "").quantization(), "F16") << "the shape's own";
}

TEST_F(StandInTest, TakesTheMemoryOfTheModel) {
    const auto memory = [](const fs::path & path) {
        LoadOptions load;
        load.path = path.string();
        load.device = MODELLED_CUDA;
        load.n_ctx = 512;
        return estimate_memory(load).vram();
    };
    const BufferMemory real = memory(model_);
    const StandIn stand_in(model_, "");
    const BufferMemory hole = memory(stand_in.path());
    EXPECT_EQ(hole.model_bytes, real.model_bytes);
    EXPECT_EQ(hole.context_bytes, real.context_bytes);
    EXPECT_EQ(hole.compute_bytes, real.compute_bytes);
}

TEST_F(StandInTest, NeedsNoFolderForTemporaryFiles) {
    const char * before = std::getenv("TMPDIR");
    const std::string kept = before == nullptr ? "" : before;
    setenv("TMPDIR", (dir_ / "gone").c_str(), 1);
    {
        const StandIn stand_in(model_, "");
        EXPECT_TRUE(fs::exists(stand_in.path()));
    }
    before == nullptr ? unsetenv("TMPDIR") : setenv("TMPDIR", kept.c_str(), 1);
}

TEST(TensorPlanSums, AreOfAllTensors) {
    const TensorPlan plan{{{"a", {2, 3, 4}, "f32", 96}, {"b", {}, "f32", 4}}};
    EXPECT_EQ(plan.tensors[0].n_elements(), 24U);
    EXPECT_EQ(plan.tensors[1].n_elements(), 1U);
    EXPECT_EQ(plan.total_bytes(), 100U);
}

TEST_F(StandInTest, APlanIsOrderedAsTheQuantizerDecides) {
    const TensorPlan plan = plan_tensors(model_, "Q4_K_M");
    std::vector<std::string> names;
    for (const PlannedTensor & tensor : plan.tensors)
        names.push_back(tensor.name);
    EXPECT_EQ(names.front(), "output.weight");
    EXPECT_EQ(names[1], "output_norm.weight");
    EXPECT_EQ(names[2], "token_embd.weight");
    EXPECT_TRUE(names[3].starts_with("blk.0.")) << names[3];
    EXPECT_TRUE(names.back().starts_with("blk.2.")) << names.back();
    EXPECT_TRUE(std::is_sorted(names.begin() + 3, names.end()));
}

TEST_F(StandInTest, OverridesDecideAndMustMatch) {
    const TensorPlan plan = plan_tensors(model_, "Q4_K_M", {{"ffn_up_exps", "q8_0"}, {"blk\\.1\\.", "q5_0"}});
    for (const PlannedTensor & tensor : plan.tensors) {
        if (tensor.name == "blk.1.ffn_up_exps.weight") {
            EXPECT_EQ(tensor.type, "q8_0") << "the first that matches";
        }
        if (tensor.name == "blk.1.attn_q.weight") {
            EXPECT_EQ(tensor.type, "q5_0");
        }
        if (tensor.name == "blk.0.attn_q.weight") {
            EXPECT_EQ(tensor.type, "q4_K");
        }
    }
    try {
        plan_tensors(model_, "Q4_K_M", {{"ffn_up_exps", "q8_0"}, {"nothing", "q8_0"}});
        FAIL();
    } catch (const UsageError & error) {
        EXPECT_STREQ(error.what(), "no tensor's name matches 'nothing'");
    }
}

}  // namespace
}  // namespace shimmy::engine

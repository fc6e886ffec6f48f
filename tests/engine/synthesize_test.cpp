#include "engine/make/synthesize.h"

#include "base/error.h"
#include "engine/layout/tensor_plan.h"
#include "engine/llama/log.h"
#include "engine/run/model.h"
#include "gguf/model_info.h"
#include "temp_dir.h"
#include "tiny_shape.h"

#include "llama.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace shimmy::engine {

namespace {

std::map<std::string, std::string> types_of(const std::filesystem::path & path) {
    std::map<std::string, std::string> types;
    const gguf::GgufFile file(path);
    for (const gguf::TensorInfo & tensor : file.tensors())
        types[tensor.name] = tensor.type;
    return types;
}

std::map<std::string, std::string> types_of(const TensorPlan & plan) {
    std::map<std::string, std::string> types;
    for (const PlannedTensor & tensor : plan.tensors)
        types[tensor.name] = tensor.type;
    return types;
}

void quantize_with_llama_cpp(const std::filesystem::path & in, const std::filesystem::path & out, llama_ftype ftype) {
    const LogCapture log;
    llama_model_quantize_params params = llama_model_quantize_default_params();
    params.ftype = ftype;
    params.nthread = 1;
    ASSERT_EQ(llama_model_quantize(in.c_str(), out.c_str(), &params), 0) << log.reason("");
}

class ReferenceShape : public ::testing::TestWithParam<const char *> {};

}  // namespace

// The file of a shape is the published model's size: parameters, experts, and what its own checklist says.
TEST_P(ReferenceShape, MatchesItsPublishedNumbers) {
    const TempDir dir;
    const gguf::Shape shape = gguf::load_shape(GetParam());
    SynthOptions options;
    options.shape = shape;
    options.output = dir / "model.gguf";
    options.sparse = true;
    const uint64_t size_bytes = synthesize(options);
    EXPECT_EQ(size_bytes, std::filesystem::file_size(options.output));

    const gguf::ModelInfo info = gguf::read_model_info(options.output);
    EXPECT_NEAR(static_cast<double>(info.n_params), *shape.expect.n_params, 0.01 * *shape.expect.n_params);
    EXPECT_NEAR(static_cast<double>(info.n_active_params), *shape.expect.n_active_params,
                0.01 * *shape.expect.n_active_params);
    EXPECT_EQ(static_cast<int64_t>(info.n_expert_tensors), *shape.expect.n_expert_tensors);
    EXPECT_EQ(info.n_layers, *shape.expect.n_layers);
    EXPECT_EQ(info.n_vocab, shape.n_vocab);
    EXPECT_EQ(info.name, shape.name + " (synthetic)");
    EXPECT_EQ(info.quantization, shape.quantization);
}

INSTANTIATE_TEST_SUITE_P(All, ReferenceShape,
                         ::testing::Values("phi-3.5-moe", "gpt-oss-20b", "deepseek-moe-16b", "qwen3-30b-a3b",
                                           "mixtral-8x7b", "olmoe-1b-7b"),
                         [](const auto & test) {
                             std::string name = test.param;
                             std::replace_if(
                                 name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
                             return name;
                         });

// Tensors of each type as llama.cpp's architecture and its MXFP4 recipe make them: experts MXFP4, other matrices Q8_0,
// the rest F32; 459 in all. Not compared with the published file, which is not at hand.
TEST(TensorPlan, GptOssKeepsItsExpertsInMxfp4) {
    const TensorPlan plan = plan_tensors(gguf::load_shape("gpt-oss-20b"), "MXFP4");
    std::map<std::string, int> n_tensors;
    for (const auto & [name, type] : types_of(plan))
        ++n_tensors[type];
    EXPECT_EQ(n_tensors, (std::map<std::string, int>{{"mxfp4", 72}, {"q8_0", 98}, {"f32", 289}}));
}

TEST(TensorPlan, AgreesWithTheRealQuantizer) {
    const TempDir dir;
    SynthOptions options;
    options.shape = tiny_shape(dir);
    options.output = dir / "f16.gguf";
    synthesize(options);
    for (const auto & [quantization, ftype] : {std::pair{"Q2_K", LLAMA_FTYPE_MOSTLY_Q2_K},
                                               {"q4_k_m", LLAMA_FTYPE_MOSTLY_Q4_K_M},
                                               {"Q8_0", LLAMA_FTYPE_MOSTLY_Q8_0},
                                               {"MXFP4_MOE", LLAMA_FTYPE_MOSTLY_MXFP4_MOE}}) {
        const std::filesystem::path quantized = dir / "quantized.gguf";
        quantize_with_llama_cpp(options.output, quantized, ftype);
        const TensorPlan of_file = plan_tensors(options.output, quantization);
        EXPECT_EQ(types_of(of_file), types_of(quantized)) << quantization;
        EXPECT_EQ(of_file.total_bytes(), gguf::read_model_info(quantized).tensor_bytes) << quantization;
        EXPECT_EQ(types_of(plan_tensors(options.shape, quantization)), types_of(quantized)) << quantization;
    }
}

TEST(Synthesize, SameSeedSameFileOtherSeedOtherFile) {
    const TempDir dir;
    SynthOptions options;
    options.shape = gguf::with_layers(tiny_shape(dir), 2);
    options.quantization = "Q4_K_M";
    const auto hash_of = [&](uint64_t seed) {
        options.seed = seed;
        options.output = dir / "model.gguf";
        synthesize(options);
        return sha256_file_hex(options.output);
    };
    const std::string hash = hash_of(1);
    EXPECT_EQ(hash, hash_of(1));
    EXPECT_NE(hash, hash_of(2));
}

// Activations stay finite over a whole batch, and the router does not send every token to the same experts.
TEST(Synthesize, RunsWithFiniteProbabilities) {
    const TempDir dir;
    SynthOptions options;
    options.shape = gguf::with_layers(tiny_shape(dir), 3);
    options.quantization = "Q4_K_M";
    options.output = dir / "model.gguf";
    synthesize(options);
    LoadOptions load;
    load.path = options.output.string();
    load.device = "cpu";
    load.n_threads = 1;
    load.n_ctx = 512;
    Model model(load);
    std::vector<int32_t> tokens(512);
    for (size_t i = 0; i < tokens.size(); ++i)
        tokens[i] = static_cast<int32_t>(i * 37 % static_cast<size_t>(model.n_vocab()));
    const std::vector<float> rows = model.log_probabilities(tokens);
    EXPECT_TRUE(std::all_of(rows.begin(), rows.end(), [](float value) { return std::isfinite(value); }));
    const auto width = static_cast<size_t>(model.n_vocab());
    EXPECT_NE(*std::max_element(rows.begin(), rows.begin() + static_cast<ptrdiff_t>(width)),
              *std::max_element(rows.end() - static_cast<ptrdiff_t>(width), rows.end()));
}

TEST(Synthesize, LeavesNothingBehindWhenStopped) {
    const TempDir dir;
    SynthOptions options;
    options.shape = gguf::with_layers(tiny_shape(dir), 2);
    std::filesystem::create_directory(dir / "out");
    options.output = dir / "out" / "model.gguf";
    EXPECT_THROW(synthesize(options, [](uint64_t, uint64_t) { throw Error("stop"); }), Error);
    EXPECT_TRUE(std::filesystem::is_empty(dir / "out"));
}

TEST(Synthesize, SaysWhatIsWrongWithAShape) {
    const TempDir dir;
    SynthOptions options;
    options.shape = tiny_shape(dir);
    options.output = dir / "model.gguf";
    const auto error_of = [](const SynthOptions & bad) -> std::string {
        try {
            synthesize(bad);
        } catch (const Error & error) {
            return error.what();
        }
        return "";
    };
    SynthOptions bad = options;
    bad.shape.arch = "no-such-arch";
    EXPECT_NE(error_of(bad).find("unknown model architecture"), std::string::npos) << error_of(bad);
    bad = options;
    std::erase_if(bad.shape.metadata, [](const auto & entry) { return entry.first == "deepseek.expert_shared_count"; });
    EXPECT_NE(error_of(bad).find("expert_shared_count"), std::string::npos) << error_of(bad);
    bad = options;
    bad.quantization = "Q99";
    EXPECT_NE(error_of(bad).find("'Q99' is not a quantization"), std::string::npos);
    bad = options;
    bad.shape.omit = {"("};
    EXPECT_NE(error_of(bad).find("regular expression"), std::string::npos);
    bad = options;
    bad.shape.n_vocab = 100;
    EXPECT_NE(error_of(bad).find("has 512 tokens"), std::string::npos);
    EXPECT_FALSE(std::filesystem::exists(options.output));
}

}  // namespace shimmy::engine

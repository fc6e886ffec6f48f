// Architectures with other memories than a plain KV cache, with layers that are not loaded, and with tensors that only
// they have: planned, made and run.
#include "base/error.h"
#include "engine/bench/bench.h"
#include "engine/device/modelled_device.h"
#include "engine/layout/stand_in.h"
#include "engine/layout/tensor_plan.h"
#include "engine/make/quantize.h"
#include "engine/make/synthesize.h"
#include "engine/predict/estimate.h"
#include "error_of.h"
#include "gguf/model_info.h"
#include "temp_dir.h"
#include "tiny_moe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

namespace shimmy::engine {
namespace {

// Two layers of four experts; `more` are lines of TOML that add to the keys or replace them.
gguf::Shape shape_of(const TempDir & dir, const std::string & arch, const std::string & more = "") {
    const std::vector<std::pair<std::string, std::string>> keys{{"vocab_size", "2048"},
                                                                {"context_length", "512"},
                                                                {"embedding_length", "256"},
                                                                {"block_count", "2"},
                                                                {"feed_forward_length", "512"},
                                                                {"attention.head_count", "4"},
                                                                {"attention.head_count_kv", "4"},
                                                                {"attention.layer_norm_rms_epsilon", "1e-5"},
                                                                {"expert_count", "4"},
                                                                {"expert_used_count", "2"},
                                                                {"expert_feed_forward_length", "256"}};
    std::string text =
        fmt::format("name = \"{0}\"\narch = \"{0}\"\nquantization = \"F16\"\nvocab = \"{1}\"\n[metadata.{0}]\n{2}\n",
                    arch, TINY_MOE, more);
    for (const auto & [key, value] : keys) {
        if (("\n" + more).find("\n" + key + " ") == std::string::npos) text += fmt::format("{} = {}\n", key, value);
    }
    std::ofstream(dir / "shape.toml") << text;
    return gguf::load_shape((dir / "shape.toml").string());
}

LoadOptions modelled(const StandIn & model) {
    LoadOptions options = options_for(MODELLED_CUDA, Placement::offload());
    options.path = model.path().string();
    return options;
}

struct Design {
    const char * arch;
    const char * keys;
    uint64_t
        state_bytes;  // of the cache, worked out from the shape: F32 state of the recurrent layer, F16 KV of the other
};

class NewerMemory : public ::testing::TestWithParam<Design> {};

// lfm2: a convolution over 3 tokens of 256 values in one layer: 2 x 256 F32 of state. The other layer's cache: 512
// tokens of 2 x 4 heads x 64 values in F16.
TEST_P(NewerMemory, IsCountedWithoutAGpu) {
    const TempDir dir;
    const gguf::Shape shape = shape_of(dir, GetParam().arch, GetParam().keys);
    const StandIn model(shape, "");
    const MemoryUse use = estimate_memory(modelled(model));
    EXPECT_EQ(use.vram().context_bytes, GetParam().state_bytes);
    EXPECT_GT(use.vram().model_bytes, 0U);
    EXPECT_GT(use.vram().compute_bytes, 0U);
}

INSTANTIATE_TEST_SUITE_P(Architectures, NewerMemory,
                         ::testing::Values(Design{"lfm2moe",
                                                  "attention.head_count_kv = [4, 0]\nshortconv.l_cache = 3\n"
                                                  "expert_gating_func = 2\nleading_dense_block_count = 1\n",
                                                  2 * 256 * 4 + 512 * 2 * 256 * 2}));

TEST(NewerShapes, LayersThatPredictFurtherTokensAreMadeAndNotCounted) {
    const TempDir dir;
    SynthOptions synth;
    synth.shape = shape_of(dir, "glm4moe",
                           "block_count = 3\nnextn_predict_layers = 1\nleading_dense_block_count = 1\n"
                           "expert_shared_count = 1\nexpert_shared_feed_forward_length = 256\n");
    synth.output = dir / "m.gguf";
    synthesize(synth);
    const gguf::GgufFile file(synth.output);
    const gguf::ModelInfo info = gguf::read_model_info(file);
    EXPECT_EQ(info.n_layers, 3);
    EXPECT_EQ(info.n_layers_nextn, 1);
    EXPECT_EQ(info.n_expert_tensors, 3U) << "of layer 1 alone: 0 is dense, and 2 is not loaded";
    uint64_t n_unloaded = 0;
    uint64_t n_unchosen = 0;  // half of the experts
    for (const gguf::TensorInfo & tensor : file.tensors()) {
        if (tensor.name.starts_with("blk.2.")) {
            n_unloaded += tensor.n_elements;
        } else if (tensor.name.find("_exps.") != std::string::npos) {
            n_unchosen += tensor.n_elements / 2;
        }
    }
    EXPECT_GT(n_unloaded, 0U);
    EXPECT_EQ(info.n_active_params, info.n_params - n_unloaded - n_unchosen);
    LoadOptions options = options_for("cpu", Placement::baseline());
    options.n_threads = 1;
    options.path = synth.output.string();
    const Model model(options);
    const auto tensors = model.tensors();
    EXPECT_EQ(std::count_if(tensors.begin(), tensors.end(), [](const auto & tensor) { return tensor.is_expert; }), 3);
}

TEST(NewerShapes, Gemma4sRouterKeepsItsScale) {
    const TempDir dir;
    SynthOptions synth;
    synth.shape = shape_of(dir, "gemma4",
                           "attention.sliding_window = 64\nattention.sliding_window_pattern = [1, 0]\n"
                           "attention.key_length_swa = 64\nattention.value_length_swa = 64\n"
                           "rope.freq_base_swa = 10000.0\nattention.shared_kv_layers = 0\n"
                           "embedding_length_per_layer_input = 64\n");
    synth.output = dir / "m.gguf";
    synthesize(synth);
    int n_scales = 0;
    const gguf::GgufFile file(synth.output);
    for (const gguf::TensorInfo & tensor : file.tensors()) {
        const bool is_scale = tensor.name.ends_with("scale");
        EXPECT_TRUE(!is_scale || tensor.name.ends_with(".ffn_gate_inp.scale")) << tensor.name;
        n_scales += is_scale ? 1 : 0;
    }
    EXPECT_EQ(n_scales, 2) << "a layer each";
    LoadOptions options = options_for("cpu", Placement::baseline());
    options.n_threads = 1;
    options.path = synth.output.string();
    Model model(options);
    EXPECT_EQ(model.generate("hi", 2, {}).n_output_tokens, 2);
}

TEST(NewerShapes, ASlidingWindowKeepsTheWindow) {
    // One layer of the two keeps all 16384 tokens, the other a window of 64 and a batch, padded to 256: 64 + 512 = 576,
    // so 768. K and V of 4 x 64 values in F16.
    const TempDir dir;
    const StandIn model(shape_of(dir, "gpt-oss",
                                 "context_length = 16384\nattention.sliding_window = 64\n"
                                 "attention.key_length = 64\nattention.value_length = 64\n"),
                        "");
    LoadOptions options = modelled(model);
    options.n_ctx = 16384;
    const uint64_t token_bytes = 2 * 256 * 2;
    EXPECT_EQ(estimate_memory(options).vram().context_bytes, (16384 + 768) * token_bytes);
}

TEST(NewerShapes, AModelThatLooksAheadTakesATextWhole) {
    const TempDir dir;
    SynthOptions synth;
    synth.shape = shape_of(dir, "llada-moe", "context_length = 2048\n");
    synth.output = dir / "m.gguf";
    synthesize(synth);
    LoadOptions options = options_for("cpu", Placement::baseline());
    options.n_threads = 1;
    options.path = synth.output.string();
    options.n_ctx = 2048;
    Model model(options);
    std::string text;
    while (model.tokenize(text, false).size() < 700)
        text += "word ";
    EXPECT_EQ(model.generate(text, 2, {}).n_output_tokens, 2) << "beyond a micro-batch of 512";
    const auto tokens = model.tokenize(text, false);
    EXPECT_EQ(model.log_probabilities(tokens, tokens.size() - 1).size(), static_cast<size_t>(model.n_vocab()));
    EXPECT_NE(error_of([&] {
                  model.log_probabilities_of({tokens}, {{0, 5, 1}});
              }).find("looks ahead"),
              std::string::npos);
    EXPECT_NE(error_of([&] {
                  const Bench bench(options, {{8, 0, 0}}, text);
              }).find("looks ahead, so it has no prefill"),
              std::string::npos);
}

// A recurrent state cannot be taken back, and a window moves on: what was computed before must not be taken for kept.
TEST(NewerShapes, SequencesThatBeginAlikeAreThoseOfEachAlone) {
    for (const auto & [arch, keys] :
         {std::pair{"lfm2moe",
                    "attention.head_count_kv = [4, 0]\nshortconv.l_cache = 3\nexpert_gating_func = 2\n"
                    "leading_dense_block_count = 1\n"},
          std::pair{"gpt-oss",
                    "attention.sliding_window = 32\nattention.key_length = 64\n"
                    "attention.value_length = 64\n"}}) {
        const TempDir dir;
        SynthOptions synth;
        synth.shape = shape_of(dir, arch, keys);
        synth.output = dir / "m.gguf";
        synthesize(synth);
        LoadOptions options = options_for("cpu", Placement::baseline());
        options.n_threads = 1;
        options.path = synth.output.string();
        Model alone(options);
        options.n_sharing = 3;
        Model model(options);
        for (const size_t n_shared : {80U, 80U, 60U, 70U}) {
            std::vector<std::vector<int32_t>> sequences(3);
            std::vector<Probe> probes;
            std::vector<double> expected;
            for (size_t s = 0; s < sequences.size(); ++s) {
                for (size_t i = 0; i < n_shared + 10 + s; ++i)
                    sequences[s].push_back(static_cast<int32_t>(300 + 7 * i + (i < n_shared ? 0 : 100 * s)));
                const size_t position = sequences[s].size() - 2;
                probes.push_back({s, position, sequences[s].back()});
                expected.push_back(
                    alone.log_probabilities(sequences[s], position)[static_cast<size_t>(probes.back().token)]);
            }
            const std::vector<double> got = model.log_probabilities_of(sequences, probes);
            for (size_t s = 0; s < got.size(); ++s)
                EXPECT_NEAR(got[s], expected[s], 0.01) << arch << " " << n_shared << " " << s;
        }
    }
}

TEST(NewerShapes, ImpossibleOnesAreRefusedByName) {
    const TempDir dir;
    for (const std::string keys : {"expert_used_count = 0", "expert_used_count = 8", "expert_count = 0",
                                   "attention.head_count = 0", "block_count = 600", "expert_count = 2000"}) {
        const gguf::Shape shape = shape_of(dir, "qwen3moe", keys + "\n");
        const std::string error = error_of([&] { plan_tensors(shape, "F16"); });
        EXPECT_EQ(error.rfind((dir / "shape.toml").string() + ": ", 0), 0U) << keys << ": " << error;
        EXPECT_EQ(error.find('\n'), std::string::npos) << error;
    }
    const std::string error = error_of([&] {
        std::ofstream(dir / "bad.toml") << "name = \"x\"\narch = \"qwen3moe\"\nvocab_size = -5\n";
        gguf::load_shape((dir / "bad.toml").string());
    });
    EXPECT_NE(error.find("bad.toml:3: vocab_size is -5"), std::string::npos) << error;
    SynthOptions synth;
    synth.shape = shape_of(dir, "qwen3moe", "vocab_size = -5\n");
    synth.output = dir / "m.gguf";
    EXPECT_NE(error_of([&] { synthesize(synth); }).find("vocab_size is -5"), std::string::npos);
    EXPECT_FALSE(fs::exists(synth.output));
}

TEST(NewerShapes, ListsOfLargeNumbersKeepThem) {
    const TempDir dir;
    SynthOptions synth;
    synth.shape = shape_of(dir, "qwen3moe",
                           "x.small = [-1, 2]\nx.large = [3000000000, 1]\nx.huge = [9000000000, 1]\n"
                           "ple.head_offsets = [1, 2]\n");
    synth.output = dir / "m.gguf";
    synthesize(synth);
    const gguf::GgufFile file(synth.output);
    const auto numbers = [&](const std::string & name) {
        return file.metadata().find_ints("qwen3moe." + name).value();
    };
    const auto type = [&](const std::string & name) { return file.metadata().find("qwen3moe." + name)->type; };
    EXPECT_EQ(numbers("x.small"), (std::vector<int64_t>{-1, 2}));
    EXPECT_EQ(type("x.small"), gguf::ValueType::int32);
    EXPECT_EQ(numbers("x.large"), (std::vector<int64_t>{3000000000, 1}));
    EXPECT_EQ(type("x.large"), gguf::ValueType::uint32);
    EXPECT_EQ(numbers("x.huge"), (std::vector<int64_t>{9000000000, 1}));
    EXPECT_EQ(type("ple.head_offsets"), gguf::ValueType::uint64) << "llama.cpp reads it as nothing else";
}

TEST(ModelledGpu, ReservesRoomToUploadExpertsThatLieInRam) {
    // With experts in RAM, a batch of 512 is computed on the GPU from a copy of one expert tensor at a time.
    const TempDir dir;
    const gguf::Shape shape = shape_of(dir, "qwen3moe", "expert_count = 64\nexpert_feed_forward_length = 2048\n");
    const StandIn model(shape, "");
    const uint64_t expert_tensor_bytes = uint64_t{64} * 2048 * 256 * 2;  // F16
    LoadOptions options = modelled(model);
    EXPECT_GE(estimate_memory(options).vram().compute_bytes, expert_tensor_bytes);
    options.placement = Placement::baseline();
    EXPECT_LT(estimate_memory(options).vram().compute_bytes, expert_tensor_bytes);
}

}  // namespace
}  // namespace shimmy::engine

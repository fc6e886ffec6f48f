// The embedded model over a text, beside sums over what it predicts.
#include "quality/evaluate.h"

#include "base/error.h"
#include "engine/device/device.h"
#include "engine/layout/tensor_plan.h"
#include "engine/make/quantize.h"
#include "engine/run/model.h"
#include "quality/search/sensitivity.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

#include <cmath>
#include <regex>
#include <set>

namespace shimmy::quality {
namespace {

const std::string TINY_MOE = std::string(SHIMMY_SOURCE_DIR) + "/models/tiny-moe/tiny-moe-f16.gguf";
const std::string TEXT = read_file(std::string(SHIMMY_SOURCE_DIR) + "/models/tiny-moe/eval.txt").substr(0, 4096);
constexpr size_t N_CTX = 64;

ReferenceOptions options(size_t n_chunks) {
    engine::load_backends();
    ReferenceOptions result;
    result.load.path = TINY_MOE;
    result.load.device = "cpu";
    result.load.n_ctx = N_CTX;
    result.load.n_threads = 1;
    result.text = TEXT;
    result.n_chunks = n_chunks;
    result.settings = {{"n_chunks", n_chunks}};
    return result;
}

void ignore(size_t, size_t) {}

// Perplexity of the second half of each of the first chunks, from the model's own rows.
double perplexity_by_hand(size_t n_chunks) {
    engine::Model model(options(0).load);
    const std::vector<int32_t> tokens = model.tokenize(TEXT, /*parse_special=*/false);
    const auto n_vocab = static_cast<size_t>(model.n_vocab());
    double nll = 0.0;
    for (size_t c = 0; c < n_chunks; ++c) {
        std::vector<int32_t> chunk(tokens.begin() + static_cast<std::ptrdiff_t>(c * N_CTX),
                                   tokens.begin() + static_cast<std::ptrdiff_t>((c + 1) * N_CTX));
        if (model.bos_token()) chunk.front() = *model.bos_token();
        const std::vector<float> rows = model.log_probabilities(chunk);
        for (size_t i = N_CTX / 2; i + 1 < N_CTX; ++i)
            nll -= rows[i * n_vocab + static_cast<size_t>(chunk[i + 1])];
    }
    return std::exp(nll / static_cast<double>(n_chunks * (N_CTX / 2 - 1)));
}

TEST(Evaluate, TheSecondHalfOfEveryChunkIsScored) {
    ReferenceCache none("", 0);
    std::vector<std::pair<size_t, size_t>> steps;
    const Reference reference(options(3), none, [&](size_t done, size_t total) { steps.emplace_back(done, total); });
    EXPECT_EQ(steps, (std::vector<std::pair<size_t, size_t>>{{0, 3}, {1, 3}, {2, 3}, {3, 3}}));
    EXPECT_EQ(reference.n_chunks(), 3U);
    EXPECT_FALSE(reference.from_cache());
    const Comparison base = reference.base();
    EXPECT_NEAR(base.figures.ppl, perplexity_by_hand(3), 1e-3);
    EXPECT_EQ(base.figures.ppl_base, base.figures.ppl);
    EXPECT_EQ(base.figures.max_kld, 0.0);
    EXPECT_EQ(base.figures.same_top_percent, 100.0);
    ASSERT_FALSE(base.routing.empty());

    steps.clear();
    const Comparison itself =
        reference.compare(options(3).load, [&](size_t done, size_t total) { steps.emplace_back(done, total); });
    EXPECT_EQ(steps.size(), 4U);
    EXPECT_EQ(itself.figures.max_kld, 0.0) << "the same to the last of the bits kept";
    EXPECT_EQ(itself.figures.ppl, base.figures.ppl);
    EXPECT_EQ(itself.figures.same_top_percent, 100.0);
    for (const LayerUse & layer : itself.routing)
        EXPECT_EQ(layer.other_experts_share, 0.0) << layer.layer;
}

TEST(Evaluate, AQuantizationIsALittleOff) {
    const TempDir dir;
    engine::load_backends();
    engine::QuantizeOptions quantize;
    quantize.input = TINY_MOE;
    quantize.output = dir / "q2.gguf";
    quantize.type = "Q2_K";
    engine::quantize(quantize);
    ReferenceCache cache(dir / "cache", 1 << 30);
    const Reference made(options(2), cache, ignore);
    const Reference kept(options(2), cache, [](size_t, size_t) { ADD_FAILURE() << "the base ran again"; });
    EXPECT_TRUE(kept.from_cache());
    engine::LoadOptions load = options(2).load;
    load.path = quantize.output.string();
    const Comparison first = made.compare(load, ignore);
    EXPECT_GT(first.figures.mean_kld, 0.0);
    EXPECT_GT(first.figures.max_kld, first.figures.mean_kld);
    EXPECT_NE(first.figures.ppl, first.figures.ppl_base);
    EXPECT_EQ(first.figures.ppl_base, made.base().figures.ppl);
    const Comparison again = kept.compare(load, ignore);
    EXPECT_EQ(again.figures.mean_kld, first.figures.mean_kld);
    EXPECT_EQ(again.figures.ppl, first.figures.ppl);
}

TEST(Evaluate, TextsOfOneChunkAndLess) {
    engine::load_backends();
    ReferenceCache none("", 0);
    ReferenceOptions all = options(0);
    const engine::Model model(all.load);
    size_t n_bytes = 0;
    while (model.tokenize(TEXT.substr(0, n_bytes), false).size() < N_CTX)
        ++n_bytes;
    all.text = TEXT.substr(0, n_bytes);
    EXPECT_EQ(Reference(all, none, ignore).n_chunks(), 1U);
    all.text = TEXT.substr(0, n_bytes - 1);
    try {
        const Reference reference(all, none, ignore);
        ADD_FAILURE() << "took less than a chunk";
    } catch (const Error & error) {
        EXPECT_EQ(
            std::string(error.what()),
            all.load.path +
                ": cuts the text into 63 tokens, fewer than one chunk of 64: use a longer text or a smaller --ctx");
    }
    const size_t n_whole = model.tokenize(TEXT, false).size() / N_CTX;
    EXPECT_EQ(Reference(options(0), none, ignore).n_chunks(), n_whole) << "all that the text has";
    EXPECT_EQ(Reference(options(n_whole + 1), none, ignore).n_chunks(), n_whole);
}

// Groups hold every tensor that the quantizer changes, once, and say what each of their types would take.
TEST(Sensitivity, GroupsOfTheEmbeddedModel) {
    engine::load_backends();
    const auto file_bytes = [](const std::vector<engine::TensorOverride> & types) {
        return engine::plan_tensors(TINY_MOE, "Q8_0", types).total_bytes();
    };
    for (const engine::Placement placement :
         {engine::Placement::baseline(), engine::Placement::offload(), engine::Placement::partial(2)}) {
        const std::vector<TensorGroup> groups = tensor_groups(TINY_MOE, placement);
        std::set<std::string> names;
        size_t n_names = 0;
        for (const TensorGroup & group : groups) {
            ASSERT_EQ(group.options.size(), 6U);
            EXPECT_EQ(group.options.front().type, "q8_0");
            EXPECT_EQ(group.options.back().type, "q2_K");
            for (size_t i = 1; i < group.options.size(); ++i)
                EXPECT_LT(group.options[i].bytes, group.options[i - 1].bytes) << group.name;
            names.insert(group.tensors.begin(), group.tensors.end());
            n_names += group.tensors.size();
            const std::string & one = group.tensors.front();
            const bool expert = one.find("_exps") != std::string::npos;
            const bool first_layer = one.find("blk.1.") == 0;  // with experts
            const bool on_host = one == "token_embd.weight" || (expert && placement == engine::Placement::offload()) ||
                                 (expert && placement == engine::Placement::partial(2) && first_layer);
            EXPECT_EQ(group.on_device, !on_host) << group.name << " " << to_string(placement);
            // Alone at its smallest: the file shrinks by exactly what the options say.
            const uint64_t saved = group.options.front().bytes - group.options.back().bytes;
            EXPECT_EQ(file_bytes({}) - file_bytes({override_of(group, "q2_K")}), saved) << group.name;
        }
        EXPECT_EQ(names.size(), n_names) << "none twice";
        size_t n_quantized = 0;
        for (const engine::PlannedTensor & tensor : engine::plan_tensors(TINY_MOE, "Q8_0").tensors)
            n_quantized += tensor.type == "q8_0" ? 1 : 0;
        EXPECT_EQ(n_names, n_quantized);
    }
}

TEST(Sensitivity, NamesSayKindAndLayers) {
    engine::load_backends();
    std::vector<std::string> names;
    for (const TensorGroup & group : tensor_groups(TINY_MOE, engine::Placement::baseline()))
        names.push_back(group.name);
    std::vector<std::string> expected{"output", "token embedding", "attention, layer 0",
                                      "shared and dense FFN, layer 0"};
    for (const char * layer : {"1", "2", "3"}) {
        for (const std::string kind : {"attention", "experts down", "experts gate and up", "shared and dense FFN"})
            expected.push_back(kind + ", layer " + layer);
    }
    EXPECT_EQ(names, expected);
}

TEST(Sensitivity, OverridesNameExactlyTheirTensors) {
    const std::vector<TensorGroup> groups{
        {"a", true, {"blk.1.x.weight", "blk.2.x.weight"}, {{"q8_0", 2, 0}, {"q4_K", 1, 0}}},
        {"b", true, {"output.weight"}, {{"q6_K", 2, 0}, {"q3_K", 1, 0}}}};
    const engine::TensorOverride one = override_of(groups[0], "q5_K");
    EXPECT_EQ(one.type, "q5_K");
    const std::regex pattern(one.pattern);
    EXPECT_TRUE(std::regex_search("blk.1.x.weight", pattern));
    EXPECT_TRUE(std::regex_search("blk.2.x.weight", pattern));
    EXPECT_FALSE(std::regex_search("blk.12.x.weight", pattern));
    EXPECT_FALSE(std::regex_search("blk.1.xxweight", pattern)) << "a dot is a dot";
    EXPECT_FALSE(std::regex_search("blk.1.x.weight.more", pattern));
    EXPECT_FALSE(std::regex_search("more.blk.1.x.weight", pattern));
    const auto all = overrides_of(groups, {1, 0});
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[0].type, "q4_K");
    EXPECT_EQ(all[1].type, "q6_K");
}

}  // namespace
}  // namespace shimmy::quality

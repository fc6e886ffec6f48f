// shimmy quality on the embedded model: known cases, and llama.cpp's own llama-perplexity beside it.
#include "base/files.h"
#include "damage.h"
#include "engine/rewritten_model.h"
#include "program.h"
#include "temp_dir.h"

#include <gtest/gtest.h>
#include <cstdlib>
#include <fstream>

namespace shimmy::e2e {
namespace {

const std::string PERPLEXITY = fs::path(SHIMMY_PROGRAM).parent_path() / "perplexity";
constexpr const char * N_CHUNKS = "3";

// A cache of its own, so that the user's is neither used nor filled.
class Quality : public ::testing::Test {
protected:
    Quality() { ::setenv("SHIMMY_CACHE", (dir_ / "cache").c_str(), 1); }
    ~Quality() override { ::unsetenv("SHIMMY_CACHE"); }

    std::vector<std::string> arguments(std::vector<std::string> more) const {
        more.insert(more.begin(), {"quality", "--text", EVAL, "--chunks", N_CHUNKS, "--device", "cpu", "--base",
                                   tiny_moe().string()});
        return more;
    }
    Json quality(std::vector<std::string> more) const { return shimmy_json(arguments(std::move(more))); }

    TempDir dir_;
};

// "Mean    KLD:   0.001129 ±   0.000113" of llama-perplexity's output.
double figure(const std::string & output, const std::string & label) {
    const size_t at = output.find(label);
    EXPECT_NE(at, std::string::npos) << label << " not in: " << output;
    return at == std::string::npos ? -1.0 : std::stod(output.substr(output.find(':', at) + 1));
}

TEST_F(Quality, FewerBitsAreFurtherFromTheBase) {
    const Json document = quality({tiny_moe("Q8_0").string(), tiny_moe("Q4_K_M").string(), tiny_moe("Q2_K").string()});
    const Json & models = document["models"];
    ASSERT_EQ(models.size(), 4U);
    EXPECT_EQ(models[0]["quant"], "F16");
    EXPECT_EQ(models[0]["mean_kld"], 0.0);
    EXPECT_EQ(models[0]["sha256"], document["base"]["sha256"]);
    EXPECT_EQ(document["n_chunks"], 3);
    for (size_t i = 1; i < models.size(); ++i) {
        EXPECT_LT(models[i - 1]["mean_kld"], models[i]["mean_kld"]);
        EXPECT_LT(models[i - 1]["rms_delta_p"], models[i]["rms_delta_p"]);
        EXPECT_LT(models[i - 1]["routing"]["other_experts_percent"], models[i]["routing"]["other_experts_percent"]);
    }
}

TEST_F(Quality, TheSameFileUnderAnotherNameIsAtDistanceNone) {
    fs::copy_file(tiny_moe(), dir_ / "copy.gguf");
    const Json model = quality({(dir_ / "copy.gguf").string()})["models"][1];
    EXPECT_EQ(model["mean_kld"], 0.0) << "measured: the model ran";
    EXPECT_EQ(model["max_kld"], 0.0);
    EXPECT_EQ(model["rms_delta_p"], 0.0);
    EXPECT_EQ(model["same_top_percent"], 100.0);
    EXPECT_EQ(model["ppl_ratio"], 1.0);
    EXPECT_EQ(model["routing"]["other_experts_percent"], 0.0);
}

TEST_F(Quality, NoiseIsFurtherAndMoreNoiseFurtherStill) {
    const double little =
        quality({damaged_tiny_moe(dir_.path(), "ffn_.*_exps", 0.001).string()})["models"][1]["mean_kld"];
    const double more = quality({damaged_tiny_moe(dir_.path(), "ffn_.*_exps", 0.02).string()})["models"][1]["mean_kld"];
    EXPECT_GT(little, 0.0);
    EXPECT_GT(more, 2.0 * little);
}

TEST_F(Quality, ADamagedRouterShowsInItsLayer) {
    const Json routing =
        quality({damaged_tiny_moe(dir_.path(), "blk\\.2\\.ffn_gate_inp", 0.5).string()})["models"][1]["routing"];
    ASSERT_EQ(routing["layers"].size(), 3U) << "the first layer is dense";
    EXPECT_EQ(routing["layers"][0]["layer"], 1);
    EXPECT_EQ(routing["layers"][0]["other_experts_percent"], 0.0) << "before the damage";
    EXPECT_GT(routing["layers"][1]["other_experts_percent"], 40.0);
    uint64_t hits = 0;
    for (const Json & n : routing["layers"][1]["hits"])
        hits += n.get<uint64_t>();
    EXPECT_EQ(hits, 3U * 512U * 4U) << "chunks x tokens x experts per token";
}

TEST_F(Quality, FiguresAreThoseOfLlamaPerplexity) {
    const std::string logits = (dir_ / "logits").string();
    const std::vector<std::string> common{
        "-f", EVAL, "-c", "512", "--chunks", N_CHUNKS, "-dev", "none", "--kl-divergence-base", logits};
    const auto perplexity = [&](std::vector<std::string> argv) {
        argv.insert(argv.begin(), PERPLEXITY);
        argv.insert(argv.end(), common.begin(), common.end());
        const ProcessResult result = run_process(argv, RUN_TIMEOUT);
        EXPECT_EQ(result.exit_code, 0) << result.err;
        return result.out;
    };
    (void)perplexity({"-m", tiny_moe().string()});
    for (const std::string type : {"Q8_0", "Q2_K"}) {
        const std::string theirs = perplexity({"-m", tiny_moe(type).string(), "--kl-divergence"});
        // ggml's own kernels on both sides.
        const Json ours = quality({tiny_moe(type).string(), "--moe-backend", "off"})["models"][1];
        // Six digits are printed of these, three of percentages; they sum in floats, and we in doubles.
        const auto same = [&](const std::string & label, double value, double tolerance) {
            EXPECT_NEAR(value, figure(theirs, label), tolerance) << type << " " << label;
        };
        same("Mean PPL(Q) ", ours["ppl"], 2e-6);
        same("Mean PPL(Q)/PPL(base)", ours["ppl_ratio"], 4e-6);
        same("Mean    KLD", ours["mean_kld"], 2e-6);
        same("Median  KLD", ours["median_kld"], 2e-6);
        // Their figure of one token is a sum in floats that can be 4e-5 below 0: ranks differ by one or two.
        same("90.0%   KLD", ours["kld_p90"], 1e-5);
        same("99.0%   KLD", ours["kld_p99"], 2e-5);
        same("99.9%   KLD", ours["kld_p999"], 2e-5);
        same("Maximum KLD", ours["max_kld"], 2e-5);
        same("RMS Δp", 100.0 * ours["rms_delta_p"].get<double>(), 1e-3);
        same("Same top p:", ours["same_top_percent"], 1e-3);
    }
}

TEST_F(Quality, ASecondModelRunsTheBaseNoMore) {
    const Json first = quality({tiny_moe("Q8_0").string()});
    const Json second = quality({tiny_moe("Q8_0").string()});
    EXPECT_EQ(first["base_from_cache"], false);
    EXPECT_EQ(second["base_from_cache"], true);
    EXPECT_EQ(first["models"], second["models"]);
    EXPECT_EQ(quality({"--ctx", "256"})["base_from_cache"], false) << "of other settings";
    EXPECT_EQ(quality({"--cache-size", "0"})["base_from_cache"], false);
}

TEST_F(Quality, ADamagedCacheIsNoticedAndMadeAgain) {
    const Json first = quality({});
    for (const auto & entry : fs::directory_iterator(dir_ / "cache" / "quality")) {
        if (entry.path().extension() != ".predictions") continue;
        std::fstream file(entry.path(), std::ios::binary | std::ios::in | std::ios::out);
        file.seekp(static_cast<std::streamoff>(entry.file_size() / 2));
        file.put('\x55').put('\x55').put('\x55').put('\x55');
    }
    std::vector<std::string> again = arguments({"--json"});
    const ProcessResult result = shimmy(again);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_NE(result.err.find("damaged and are made again"), std::string::npos) << result.err;
    EXPECT_EQ(Json::parse(result.out)["models"], first["models"]);
    EXPECT_EQ(Json::parse(result.out)["base_from_cache"], false);
}

TEST_F(Quality, OffloadIsTheSameModel) {
    SKIP_WITHOUT_GPU();
    const Json checks = shimmy_json({"quality", "--text", EVAL, "--chunks", "1", "--ctx", "64", "--device", "gpu",
                                     "--base", tiny_moe("Q4_K_M").string(), "--check-offload"})["offload"];
    ASSERT_EQ(checks.size(), 1U);
    EXPECT_GT(checks[0]["mean_kld"], 0.0) << "the experts were computed by other kernels";
    EXPECT_LT(checks[0]["mean_kld"], checks[0]["mean_kld_bound"]);
    EXPECT_EQ(checks[0]["within_bound"], true);
}

// Each by its own name, and before anything is computed where that can be.
TEST_F(Quality, OfTwoFilesTheRightOneIsNamed) {
    const std::string base = tiny_moe().string();
    const gguf::GgufFile file(base);
    const auto present = file.metadata().find_strings("tokenizer.ggml.tokens").value();
    std::vector<std::string> tokens(present.begin(), present.end());
    for (size_t i = 300; i < 1500; ++i)
        tokens[i] += "\u0120\u0120";  // words that no text has
    const std::string other_tokens =
        engine::RewrittenModel(base).set("tokenizer.ggml.tokens", tokens).write(dir_ / "t.gguf");
    const std::string other_router =
        engine::RewrittenModel(base).set("deepseek.expert_used_count", 2U).write(dir_ / "r.gguf");
    engine::RewrittenModel ruined(base);
    ruined.tensor("output_norm.weight").data.assign(ruined.tensor("output_norm.weight").data.size(), '\xff');
    const std::string no_numbers = ruined.write(dir_ / "n.gguf");
    const std::string gone = (dir_ / "gone.gguf").string();

    const auto compare = [&](const std::string & a, const std::string & b) {
        return std::vector<std::string>{"quality", "--text", EVAL, "--chunks", "1",     "--device",
                                        "cpu",     "--base", a,    b,          "--json"};
    };
    const auto error_of = [&](const std::string & a, const std::string & b) -> std::string {
        const ProcessResult result = shimmy(compare(a, b));
        EXPECT_EQ(result.exit_code, 1) << result.err;
        return Json::parse(result.out)["error"]["message"];
    };
    for (const auto & [a, b] : {std::pair{base, other_tokens}, {other_tokens, base}})
        EXPECT_EQ(error_of(a, b),
                  b + ": cuts the text into other tokens than " + a + ": it is a quantization of another model");
    for (const auto & [a, b] : {std::pair{base, other_router}, {other_router, base}})
        EXPECT_EQ(error_of(a, b),
                  b + ": its router has other layers or chooses another number of experts than the base's (" + a + ")");
    for (const auto & [a, b] : {std::pair{base, no_numbers}, {no_numbers, base}})
        EXPECT_EQ(error_of(a, b), no_numbers + ": what it predicts is not a number: the file is damaged");
    for (const auto & [a, b] : {std::pair{base, gone}, {gone, base}})
        EXPECT_EQ(error_of(a, b), gone + ": no such file");
}

TEST_F(Quality, WrongUseSaysSo) {
    write_file_atomic(dir_ / "short.txt", "Too short.");
    expect_failure(
        {"quality", "--base", tiny_moe().string(), "--text", (dir_ / "short.txt").string(), "--device", "cpu"}, 1,
        {"fewer than one chunk of 512"});
    expect_failure(arguments({"--ctx", "0"}), 2, {"--ctx", "16 tokens"});
    expect_failure(arguments({"--check-offload"}), 2, {"--check-offload needs a GPU"});
    expect_failure(arguments({"--cache-size", "much"}), 2, {"--cache-size", "not a size"});
}

}  // namespace
}  // namespace shimmy::e2e

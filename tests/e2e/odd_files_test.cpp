// Models and shapes unlike most, through the commands: each is worked with, or refused in a line, and nothing is left.
#include "engine/rewritten_model.h"
#include "program.h"
#include "temp_dir.h"

#include <fmt/format.h>

#include <fstream>
#include <map>

namespace shimmy::e2e {
namespace {

class OddFiles : public ::testing::Test {
protected:
    // A small shape; `more` are lines of TOML that replace its keys or add to them.
    std::string shape(const std::string & arch, std::map<std::string, std::string> more,
                      const std::string & other_tables = "") {
        std::map<std::string, std::string> keys{{"vocab_size", "2048"},
                                                {"context_length", "512"},
                                                {"embedding_length", "256"},
                                                {"block_count", "2"},
                                                {"feed_forward_length", "512"},
                                                {"attention.head_count", "4"},
                                                {"expert_count", "4"},
                                                {"attention.head_count_kv", "4"},
                                                {"expert_used_count", "2"},
                                                {"attention.layer_norm_rms_epsilon", "1e-5"},
                                                {"expert_feed_forward_length", "256"}};
        more.merge(keys);
        const fs::path file = dir_ / (arch + ".toml");
        std::ofstream out(file);
        out << fmt::format("name = \"Odd\"\narch = \"{0}\"\nquantization = \"F16\"\nvocab = \"{1}\"\n[metadata.{0}]\n",
                           arch, tiny_moe().string());
        for (const auto & [key, value] : more)
            out << key << " = " << value << "\n";
        out << other_tables;
        return file.string();
    }
    std::string made(const std::string & shape) {
        const std::string file = fs::path(shape).replace_extension(".gguf").string();
        const ProcessResult result = shimmy({"synth", "--shape", shape, "--out", file});
        EXPECT_EQ(result.exit_code, 0) << result.err;
        return file;
    }
    std::string out() const { return (dir_ / "out").string(); }

    TempDir dir_;
};

TEST_F(OddFiles, ATypeIsMadeOnceAndNamedAfterTheWholeModel) {
    fs::copy_file(tiny_moe(), dir_ / "m-F16-00001-of-00001.gguf");
    const Json document = shimmy_json(
        {"quantize", (dir_ / "m-F16-00001-of-00001.gguf").string(), "--types", "Q8_0,q8_0,Q8_0", "--out-dir", out()});
    ASSERT_EQ(document["files"].size(), 1U);
    EXPECT_EQ(document["files"][0]["path"], out() + "/m-Q8_0.gguf");
    EXPECT_EQ(n_files(dir_ / "out"), 1U);
}

TEST_F(OddFiles, RowsThatATypeCannotHoldAreTold) {
    const std::string model = made(shape("qwen3moe", {{"expert_feed_forward_length", "192"}}));
    const ProcessResult text = shimmy({"quantize", model, "--types", "Q4_K_M", "--out-dir", out()});
    EXPECT_EQ(text.exit_code, 0) << text.err;
    EXPECT_NE(text.err.find("warning: Q4_K_M: 2 tensors have rows that the wanted type cannot hold: "
                            "blk.0.ffn_down_exps.weight (192 columns) is Q5_0 in place of Q4_K"),
              std::string::npos)
        << text.err;
    const Json document = shimmy_json({"quantize", model, "--types", "Q4_K_M,Q8_0", "--out-dir", out()});
    EXPECT_EQ(document["files"][0]["fallbacks"].size(), 2U);
    EXPECT_EQ(document["files"][0]["fallbacks"][0]["n_columns"], 192);
    EXPECT_EQ(document["files"][1]["fallbacks"], Json::array()) << "Q8_0 holds rows of 192";
}

// Its label says F16, as that of GPT-OSS does; its experts are what they are.
TEST_F(OddFiles, ExpertsThatAreQuantizedAreNotPlannedOtherwise) {
    engine::RewrittenModel model(tiny_moe());
    for (engine::RewrittenModel::Tensor & tensor : model.tensors) {
        if (tensor.name.find("_exps.weight") == std::string::npos) continue;
        const size_t n = tensor.data.size() / 2;  // of two bytes
        tensor.type = 39;                         // MXFP4: 17 bytes for 32 values
        tensor.data.assign(n / 32 * 17, '\x11');
    }
    const std::string file = model.set("general.file_type", 1U).write(dir_ / "m-F16.gguf");
    expect_failure({"plan", file, "--vram", "8GiB", "--quant", "Q4_K_M"}, 1,
                   {"m-F16.gguf", "already quantized (MXFP4)"});
    expect_failure({"quantize", file, "--types", "Q4_K_M", "--out-dir", out()}, 1, {"already quantized", "MXFP4"});
    EXPECT_EQ(shimmy({"plan", file, "--vram", "8GiB"}).exit_code, 0);
}

TEST_F(OddFiles, AnEmbeddingModelIsPlanned) {
    const std::string model = made(shape("nomic-bert-moe",
                                         {{"attention.causal", "false"},
                                          {"attention.layer_norm_epsilon", "1e-5"},
                                          {"pooling_type", "1"},
                                          {"moe_every_n_layers", "2"},
                                          {"rope.freq_base", "10000.0"},
                                          {"expert_feed_forward_length", "512"}},
                                         "[metadata.tokenizer.ggml]\ntoken_type_count = 2\n"));
    EXPECT_EQ(shimmy({"plan", model, "--vram", "8GiB"}).exit_code, 0);
    for (const std::vector<std::string> & args : {std::vector<std::string>{"generate", model, "-p", "x"},
                                                  {"bench", model},
                                                  {"check", model},
                                                  {"quality", "--base", model, "--text", EVAL}})
        expect_failure(args, 1, {"is an embedding model", "shimmy serve --embeddings"});
}

TEST_F(OddFiles, LayersThatPredictFurtherTokensDoNotFailVerify) {
    SKIP_WITHOUT_GPU();
    const std::string spec = shape("glm4moe", {{"block_count", "3"},
                                               {"nextn_predict_layers", "1"},
                                               {"leading_dense_block_count", "1"},
                                               {"expert_shared_count", "1"},
                                               {"expert_shared_feed_forward_length", "256"}});
    const Json document = shimmy_json({"verify", made(spec), "--as", spec, "--device", "gpu"});
    EXPECT_EQ(document["passed"], true) << document.dump(1);
}

TEST_F(OddFiles, ShapesThatCannotBeAreNamedAndLeaveNothing) {
    const std::vector<std::pair<std::string, std::string>> impossible{
        {"vocab_size", "-5"},     {"expert_used_count", "0"},    {"expert_used_count", "8"},
        {"expert_count", "0"},    {"attention.head_count", "0"}, {"block_count", "600"},
        {"expert_count", "2000"}, {"embedding_length", "0"}};
    for (const auto & [key, value] : impossible) {
        const std::string spec = shape("qwen3moe", {{key, value}});
        SCOPED_TRACE(key + " = " + value);
        expect_failure({"synth", "--shape", spec, "--out", (dir_ / "s.gguf").string()}, 1, {"qwen3moe.toml: "});
        expect_failure({"plan", "--shape", spec, "--vram", "8GiB"}, 1, {"qwen3moe.toml: "});
    }
    EXPECT_EQ(n_files(dir_.path()), 1U) << "the shape alone";
}

}  // namespace
}  // namespace shimmy::e2e

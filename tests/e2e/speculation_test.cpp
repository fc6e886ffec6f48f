// Speculation, as a user asks for it.
#include "base/files.h"
#include "program.h"
#include "server_process.h"
#include "temp_dir.h"

#include <regex>
#include <set>
#include <sstream>

namespace shimmy::e2e {
namespace {

// Text that repeats itself.
const std::string CODE =
    "def fibonacci(n):\n    a, b = 0, 1\n    for i in range(n):\n        a, b = b, a + b\n    return a\n\n"
    "def fibonacci(n):\n    a, b = 0, 1\n    for i in range(n):\n        a, b";

Json generated(std::vector<std::string> more) {
    std::vector<std::string> args{"generate", tiny_moe().string(), "--raw", "--temperature", "0", "-n",
                                  "100",      "--device",          "cpu",   "--prompt",      CODE};
    args.insert(args.end(), more.begin(), more.end());
    return shimmy_json(args);
}

TEST(SpeculationCommand, TheTextIsTheSame) {
    const Json plain = generated({});
    EXPECT_TRUE(plain["speculation"].is_null());
    for (const std::vector<std::string> & more :
         {std::vector<std::string>{"--spec", "auto"},
          std::vector<std::string>{"--spec", "auto", "--model-draft", tiny_moe().string()},
          std::vector<std::string>{"--spec", "ngram-simple"}, std::vector<std::string>{"-md", tiny_moe().string()}}) {
        const Json drafted = generated(more);
        EXPECT_EQ(drafted["text"], plain["text"]);
        EXPECT_EQ(drafted["speculation"]["is_measured"].get<bool>(), more[1] == "auto");
    }
    const Json off = generated({"--spec", "off", "--model-draft", tiny_moe().string()});
    EXPECT_TRUE(off["speculation"].is_null());
    EXPECT_EQ(off["llama_args"], Json::array());
}

TEST(SpeculationCommand, TheSummarySaysWhatItDid) {
    const ProcessResult result = shimmy({"generate", tiny_moe().string(), "--raw", "--temperature", "0", "-n", "60",
                                         "--device", "cpu", "--prompt", CODE, "--model-draft", tiny_moe().string()});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_NE(result.err.find("; speculation draft-simple: 1"), std::string::npos) << result.err;
    EXPECT_NE(result.err.find("drafted tokens accepted"), std::string::npos) << result.err;
    const ProcessResult measured = shimmy(
        {"generate", tiny_moe().string(), "--raw", "-n", "20", "--device", "cpu", "--prompt", CODE, "--spec", "auto"});
    EXPECT_NE(measured.err.find("; speculation ngram-mod, still being measured: nothing was drafted"),
              std::string::npos)
        << measured.err;
}

TEST(SpeculationCommand, WrongKinds) {
    const std::vector<std::string> args{"generate", tiny_moe().string(), "Hello", "--spec"};
    const auto with = [&](const std::string & kind) {
        std::vector<std::string> all = args;
        all.push_back(kind);
        return all;
    };
    expect_failure(with("magic"), 2, {"magic"});
    expect_failure(with("draft-simple"), 2, {"--model-draft"});
    expect_failure(with("draft-mtp"), 2, {"draft-mtp", "n_layers_nextn"});
}

TEST(SpeculationCommand, AServerMeasuresWhenItLoads) {
    ServerProcess server({"--model", tiny_moe().string(), "--spec", "auto", "--model-draft", tiny_moe().string()});
    const HttpReply reply = server.post("/v1/completions", {{"prompt", CODE}, {"temperature", 0}, {"max_tokens", 20}});
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_NE(server.process().err().find("speculation "), std::string::npos) << server.process().err();
    EXPECT_NE(server.process().err().find("measured on a built-in text"), std::string::npos);
    const Json status = server.curl("/api/models/tiny-moe-f16/status").json();
    const Json & speculation = status["speculation"];
    EXPECT_GT(speculation["gain"], 0.0) << status;
    const std::string metrics = server.curl("/metrics").body;
    const std::string labels = "{model=\"tiny-moe-f16\",kind=\"" + speculation["kind"].get<std::string>() + "\"} ";
    EXPECT_NE(metrics.find("shimmy_speculation_gain" + labels), std::string::npos) << metrics;
    EXPECT_NE(metrics.find("shimmy_speculation_on" + labels + (speculation["is_on"].get<bool>() ? "1" : "0")),
              std::string::npos)
        << metrics;
}

// Two kinds need 288 tokens of answer, and there is room for 192.
TEST(SpeculationCommand, AServerWithASmallContextStarts) {
    ServerProcess server(
        {"--model", tiny_moe().string(), "--spec", "auto", "--model-draft", tiny_moe().string(), "--ctx", "256"});
    const HttpReply reply = server.post("/v1/completions", {{"prompt", "A"}, {"temperature", 0}, {"max_tokens", 4}});
    EXPECT_EQ(reply.status, 200) << reply.body;
    const std::string log = server.process().err();
    EXPECT_NE(log.find("speculation off: a context of 256 tokens is too small to measure it"), std::string::npos)
        << log;
    EXPECT_FALSE(reply.json()["timings"].contains("draft_n")) << reply.body;
}

// A model with a layer that predicts further tokens, hybrid as Qwen3.6 is: it drafts for itself, in a server and
// without.
TEST(SpeculationCommand, TheModelsOwnLayersDraft) {
    const TempDir dir;
    const std::string model = (dir / "further.gguf").string();
    write_file_atomic(dir / "shape.toml",
                      "name = \"further\"\narch = \"qwen35moe\"\nquantization = \"F32\"\nvocab = \"" +
                          tiny_moe().string() +
                          "\"\nomit = ['^output\\.weight$']\n[metadata.qwen35moe]\nblock_count = 3\n"
                          "nextn_predict_layers = 1\nvocab_size = 2048\ncontext_length = 512\nembedding_length = 256\n"
                          "expert_feed_forward_length = 256\nexpert_shared_feed_forward_length = 256\n"
                          "attention.head_count = 4\nattention.head_count_kv = 2\nattention.key_length = 64\n"
                          "attention.value_length = 64\nattention.layer_norm_rms_epsilon = 1e-5\n"
                          "rope.dimension_count = 32\nrope.dimension_sections = [8, 8, 0, 0]\nssm.conv_kernel = 4\n"
                          "ssm.state_size = 32\nssm.group_count = 4\nssm.time_step_rank = 4\nssm.inner_size = 128\n"
                          "full_attention_interval = 2\nexpert_count = 4\nexpert_used_count = 2\n");
    ASSERT_EQ(shimmy({"synth", "--shape", (dir / "shape.toml").string(), "--out", model}).exit_code, 0);
    const auto text = [&](const std::vector<std::string> & more) {
        std::vector<std::string> args{"generate", model,      "--raw", "--temperature", "0", "-n",
                                      "30",       "--device", "cpu",   "--prompt",      CODE};
        args.insert(args.end(), more.begin(), more.end());
        return shimmy_json(args);
    };
    const Json plain = text({});
    const Json drafted = text({"--spec", "draft-mtp"});
    EXPECT_EQ(drafted["text"], plain["text"]);
    EXPECT_EQ(drafted["speculation"]["kind"], "draft-mtp");
    EXPECT_GT(drafted["speculation"]["n_drafted"], 0);
    EXPECT_EQ(text({"--spec", "auto"})["text"], plain["text"]);

    const Json request{{"prompt", CODE}, {"temperature", 0}, {"max_tokens", 30}};
    const ServerProcess alone({"--model", model});
    const ServerProcess drafting({"--model", model, "--spec", "draft-mtp"});
    const Json expected = alone.post("/v1/completions", request).json();
    const Json got = drafting.post("/v1/completions", request).json();
    EXPECT_EQ(got["choices"][0]["text"], expected["choices"][0]["text"]) << got;
    EXPECT_GT(got["timings"]["draft_n"], 0) << got;
    const Json twice = drafting.post("/v1/completions", request).json();
    EXPECT_EQ(twice["choices"][0]["text"], expected["choices"][0]["text"]) << twice;
}

// What a parser of Prometheus' text format refuses: a line that is none, a series twice, a name's lines apart.
void expect_prometheus(const std::string & text) {
    const std::string name = "[a-zA-Z_:][a-zA-Z0-9_:]*";
    const std::string label = R"([a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\]|\\[\\"n])*")";
    const std::regex sample("(" + name + R"()(\{(?:)" + label + "(?:," + label +
                            R"()*)?\})? (?:[-+]?[0-9.]+(?:e[-+]?[0-9]+)?|NaN|[-+]Inf)(?: [0-9]+)?)");
    const std::regex head("# (?:HELP " + name + " .*|TYPE " + name + " (?:counter|gauge|histogram|summary|untyped))");
    std::set<std::string> series;
    std::set<std::string> names;
    std::string last;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        std::smatch parts;
        if (std::regex_match(line, head)) continue;
        ASSERT_TRUE(std::regex_match(line, parts, sample)) << line;
        EXPECT_TRUE(series.insert(parts[1].str() + parts[2].str()).second) << "twice: " << line;
        if (parts[1] == last) continue;
        last = parts[1];
        EXPECT_TRUE(names.insert(last).second) << "not beside the others: " << line;
    }
    EXPECT_GT(names.size(), 10U);
}

// Its own draft model: what it drafts is what it writes.
TEST(SpeculationCommand, AServerCountsWhatWasDrafted) {
    ServerProcess server({"--model", tiny_moe().string(), "--model-draft", tiny_moe().string()});
    const HttpReply reply = server.post("/v1/completions", {{"prompt", CODE}, {"temperature", 0}, {"max_tokens", 20}});
    ASSERT_EQ(reply.status, 200) << reply.body;
    const Json timings = reply.json()["timings"];
    EXPECT_GT(timings["draft_n"], 0) << reply.body;
    EXPECT_GT(timings["draft_n_accepted"], 0);
    EXPECT_LE(timings["draft_n_accepted"], timings["draft_n"]);
    const Json whole =
        server.post("/api/generate", {{"prompt", CODE}, {"temperature", 0}, {"max_tokens", 20}, {"stream", false}})
            .json();
    const Json api = Json::parse(read_file(fs::path(SHIMMY_SOURCE_DIR) / "docs/openapi.json"));
    const Json & documented = api["components"]["schemas"]["Timings"]["properties"];
    EXPECT_TRUE(whole["timings"].contains("draft_n_accepted")) << whole;
    for (const auto & [key, value] : whole["timings"].items())
        EXPECT_TRUE(documented.contains(key)) << key << " is not in docs/openapi.json";

    const std::string metrics = server.curl("/metrics").body;
    expect_prometheus(metrics);
    EXPECT_NE(metrics.find("_per_pos_total{model=\"tiny-moe-f16\",position=\"0\"} "), std::string::npos) << metrics;
}

}  // namespace
}  // namespace shimmy::e2e

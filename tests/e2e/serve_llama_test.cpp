// llama.cpp's own options of a server, and the placement that it chooses.
#include "program.h"
#include "server_process.h"

namespace shimmy::e2e {
namespace {

const std::string PROMPT = "Explain gradient descent in simple terms.";

std::string greedy_text(const ServerProcess & server) {
    const HttpReply reply =
        server.post("/v1/chat/completions",
                    {{"messages", {{{"role", "user"}, {"content", PROMPT}}}}, {"temperature", 0}, {"max_tokens", 40}});
    EXPECT_EQ(reply.status, 200) << reply.body;
    return reply.json()["choices"][0]["message"]["content"];
}

uint64_t host_bytes(const ServerProcess & server, const char * kind) {
    return server.started()["memory"]["host"][kind].get<uint64_t>();
}

TEST(ServeLlama, OptionsReachTheModelAndItsFigures) {
    const ServerProcess plain({"--model", tiny_moe().string()});
    const ServerProcess small(
        {tiny_moe().string(), "--cache-type-k", "q8_0", "--", "--cache-type-v", "q8_0", "-fa", "on"});
    EXPECT_EQ(host_bytes(small, "context_bytes") * 64, host_bytes(plain, "context_bytes") * 34);
    EXPECT_NE(greedy_text(small), "");
}

TEST(ServeLlama, SpeculationChangesNoGreedyText) {
    const ServerProcess plain({"--model", tiny_moe().string()});
    const std::string text = greedy_text(plain);
    EXPECT_GT(text.size(), 40U);
    const ServerProcess drafted({"--model", tiny_moe().string(), "--model-draft", tiny_moe("Q8_0").string()});
    EXPECT_EQ(greedy_text(drafted), text);
    EXPECT_GT(host_bytes(drafted, "model_bytes"),
              host_bytes(plain, "model_bytes") + fs::file_size(tiny_moe("Q8_0")) / 2);
    EXPECT_EQ(host_bytes(drafted, "context_bytes"), 2 * host_bytes(plain, "context_bytes")) << "one of each";
    const ServerProcess repeated({"--model", tiny_moe().string(), "--spec-type", "ngram-mod"});
    EXPECT_EQ(greedy_text(repeated), text);
}

TEST(ServeLlama, WrongUseIsOneLine) {
    const std::string model = tiny_moe().string();
    expect_failure({"serve", "--model", model, "--", "--port", "1"}, 2,
                   {"--port: shimmy sets this itself; use --bind"});
    expect_failure({"serve", "--", "--ssl-key-file", "k"}, 2, {"changes nothing here"});
    expect_failure(
        {"serve", "--bind", "127.0.0.1:0", "--model", model, "--device", "cpu", "--", "--rope-scaling", "odd"}, 1,
        {"--rope-scaling odd: "});
    expect_failure({"serve", "--bind", ":1", "--port", "2"}, 2, {"leave out --host and --port"});
}

TEST(ServeLlama, HostAndPortAsLlamaServerTakesThem) {
    const std::vector<std::string> argv{SHIMMY_PROGRAM, "serve",     "--json", "-m",  tiny_moe().string(),
                                        "--host",       "localhost", "--port", "0",   "--device",
                                        "cpu",          "-c",        "512",    "-np", "2"};
    ChildProcess process(argv);
    const Json started = Json::parse(process.read_line(std::chrono::seconds(60)).value_or("null"));
    ASSERT_TRUE(started.is_object()) << process.err();
    EXPECT_EQ(started["address"].get<std::string>().rfind("localhost:", 0), 0U) << started["address"];
    EXPECT_EQ(started["n_parallel"], 2);
    EXPECT_EQ(started["n_ctx"], 512);
}

TEST(ServePlacement, IsChosenAndSaid) {
    SKIP_WITHOUT_GPU();
    uint64_t all = 0;
    {
        const ServerProcess server({"--model", tiny_moe().string(), "--device", "gpu"});
        EXPECT_EQ(server.started()["placement"], "baseline");
        all = server.started()["memory"]["vram_bytes"].get<uint64_t>();
    }
    ServerProcess server(
        {"--model", tiny_moe().string(), "--device", "gpu", "--moe-cache", "off", "--vram", std::to_string(all - 1)});
    EXPECT_EQ(server.started()["placement"], "n_cpu_moe=2");
    EXPECT_LT(server.started()["memory"]["vram_bytes"].get<uint64_t>(), all);
    EXPECT_NE(server.process().err().find("placement n-cpu-moe=2: experts of the first 2 of 4 layers in RAM"),
              std::string::npos)
        << server.process().err();
}

}  // namespace
}  // namespace shimmy::e2e

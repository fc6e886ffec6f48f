// What the pages and the messages promise, where no other test tries it: a hint must lead somewhere.
#include "server_process.h"
#include "temp_dir.h"

#include "base/files.h"

#include <csignal>
#include <functional>

namespace shimmy::e2e {
namespace {

using std::chrono::seconds;

std::string page(const char * name) {
    return read_file(fs::path(SHIMMY_SOURCE_DIR) / name);
}

TEST(Promises, HelpIsTextWithJsonToo) {
    const ProcessResult help = shimmy({"generate", "--help", "--json"});
    EXPECT_EQ(help.exit_code, 0);
    EXPECT_NE(help.out.find("Usage: shimmy generate"), std::string::npos) << help.out;
}

TEST(Promises, PlanShowsEveryPlacementAndTakesNone) {
    for (const std::vector<std::string> & placement :
         {std::vector<std::string>{"--cpu-moe"}, {"--n-cpu-moe", "1"}, {"--placement", "gpu"}}) {
        std::vector<std::string> args{"plan", tiny_moe().string(), "--vram", "8GiB"};
        args.insert(args.end(), placement.begin(), placement.end());
        expect_failure(args, 2, {"plan shows every placement: leave out"});
    }
}

TEST(Promises, AModuleThatIsNotThereIsGotAsTheHintSays) {
    const fs::path folder = fs::path(SHIMMY_PROGRAM).parent_path();
    const std::vector<std::string> run{"generate", tiny_moe().string(), "--raw", "x", "--gpu-backend"};
    for (const auto & [backend, hint] :
         {std::pair<std::string, std::string>{"opencl", "cmake -DGGML_OPENCL=ON"}, {"cuda", "make gpu GPU=cuda"}}) {
        if (fs::exists(folder / ("libggml-" + backend + ".so"))) continue;
        std::vector<std::string> args = run;
        args.push_back(backend);
        expect_failure(args, 1, {"libggml-" + backend + ".so is not there", hint});
    }
    // The hint names what the script takes, and OpenCL is not that.
    const std::string script = (fs::path(SHIMMY_SOURCE_DIR) / "scripts/fetch-gpu.sh").string();
    EXPECT_NE(read_file(script).find("cuda"), std::string::npos);
    EXPECT_EQ(read_file(script).find("opencl"), std::string::npos);
}

TEST(Promises, ASoftwareDeviceIsNotChosenUnasked) {
    const Json document = shimmy_json({"generate", tiny_moe().string(), "--raw", "-p", "x", "-n", "1"});
    EXPECT_EQ(document["device"]["software"], false) << document.dump(1);
}

TEST(Promises, AnUnknownInstructionSetIsToldInTheLog) {
    setenv("GGML_MOE_ISA", "bogus", 1);
    const ProcessResult result = shimmy({"-v", "probe", tiny_moe().string(), "--device", "cpu"});
    unsetenv("GGML_MOE_ISA");
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_NE(result.err.find("GGML_MOE_ISA=bogus is not known"), std::string::npos) << result.err;
}

TEST(Promises, AnImportanceMatrixMayBeOfAQuantizedModel) {
    const TempDir dir;
    const Json made = shimmy_json({"imatrix", "--model", tiny_moe("Q8_0").string(), "--text", EVAL, "--chunks", "1",
                                   "--device", "cpu", "--out", (dir / "i.gguf").string()});
    EXPECT_EQ(made["n_chunks"], 1);
}

// A field that a run's document has stands in docs/RESULTS.md.
TEST(Promises, EveryFieldOfARunIsDescribed) {
    const std::string results = page("docs/RESULTS.md");
    const std::function<void(const Json &)> look_at = [&](const Json & value) {
        for (const auto & [key, member] : value.items()) {
            EXPECT_NE(results.find(key), std::string::npos) << key;
            if (member.is_object()) look_at(member);
        }
    };
    look_at(shimmy_json({"generate", tiny_moe().string(), "--device", "cpu", "--max-tokens", "2", "Hello"}));
    for (const char * file : {"hashes.json", "running.json", "summary.json", "publish.json", "campaign.json"})
        EXPECT_NE(results.find(file), std::string::npos) << file;
}

class PromisesOfServe : public ::testing::Test {
protected:
    static ServerProcess & server() {
        static ServerProcess one({tiny_moe().string(), "--ollama-bind", "127.0.0.1:0", "-v"});
        return one;
    }
    static std::string ollama(const std::string & path) {
        return "http://" + server().started()["ollama_address"].get<std::string>() + path;
    }
};

TEST_F(PromisesOfServe, PathsThatArePromisedAreThereAndTheOthersAreNot) {
    for (const char * path : {"/rerank", "/reranking", "/v1/rerank", "/audio/transcriptions"})
        EXPECT_EQ(server().post(path, {{"query", "a"}, {"documents", {"b"}}}).status, 404) << path;
    EXPECT_EQ(server().curl("/lora-adapters").status, 404);
    EXPECT_NE(page("docs/API.md").find("Reranking, transcription and a list of adapters are\nnot there (404)"),
              std::string::npos);
    for (const char * path : {"/responses", "/v1/responses/input_tokens"})
        EXPECT_EQ(server().post(path, {{"input", "a"}, {"max_output_tokens", 1}}).status, 200) << path;
    EXPECT_EQ(server()
                  .post("/v1/chat/completions/input_tokens", {{"messages", {{{"role", "user"}, {"content", "a"}}}}})
                  .status,
              200);
    EXPECT_EQ(server().curl("/models").status, 200);
}

TEST_F(PromisesOfServe, APromptThatIsTooLongHasItsNumbersInEveryApi) {
    std::string prompt;
    for (int i = 0; i < 600; ++i)
        prompt += "word ";
    for (const char * path : {"/api/generate", "/v1/completions"}) {
        const HttpReply reply = server().post(path, {{"prompt", prompt}});
        EXPECT_EQ(reply.status, 400) << path;
        EXPECT_GT(reply.json()["error"].value("n_prompt_tokens", 0), 512) << reply.body;
        EXPECT_EQ(reply.json()["error"].value("n_ctx", 0), 512) << reply.body;
    }
}

TEST_F(PromisesOfServe, TheHintOfOllamasAddressWorksThere) {
    const HttpReply reply = server().post(ollama("/api/generate"), {{"model", "nope"}, {"prompt", "a"}});
    EXPECT_EQ(reply.status, 404);
    EXPECT_NE(reply.body.find("GET /v1/models lists them"), std::string::npos) << reply.body;
    const HttpReply listed = server().curl(ollama("/v1/models"));
    EXPECT_EQ(listed.status, 200);
    EXPECT_NE(listed.body.find("tiny-moe-f16"), std::string::npos) << listed.body;
}

TEST_F(PromisesOfServe, AModelThatAnswersIsNotIdle) {
    ChildProcess client({"curl", "-sN", "--noproxy", "*", "http://" + server().address() + "/v1/completions", "-d",
                         R"({"prompt": "Once", "max_tokens": 400, "stream": true, "ignore_eos": true})"});
    ASSERT_TRUE(client.read_line(seconds(60))) << "it has begun";
    const Json status = server().curl("/api/models/tiny-moe-f16/status").json();
    ASSERT_TRUE(status.contains("idle_ms")) << status.dump(1);
    EXPECT_EQ(status["idle_ms"], 0.0) << status.dump(1);
    client.stop(seconds(5));
}

TEST(PromisesOfServeEnd, CtrlCIsItsOrdinaryEnd) {
    ServerProcess server({tiny_moe().string()});
    ASSERT_EQ(server.curl("/health").status, 200);
    ::kill(server.process().pid(), SIGINT);
    while (server.process().read_line(seconds(60)))
        continue;
    EXPECT_EQ(server.process().stop(seconds(30)), 0) << server.process().err();
    EXPECT_NE(page("docs/CLI.md").find("| 130 | interrupted by Ctrl-C; `serve`, which is stopped so, ends with 0 |"),
              std::string::npos);
}

}  // namespace
}  // namespace shimmy::e2e

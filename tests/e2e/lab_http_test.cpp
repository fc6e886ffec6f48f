// shimmy lab http under load, through the program: rates, sweeps, conversations, and a server that runs already.
#include "base/files.h"
#include "base/process/child_process.h"
#include "local_server.h"
#include "program.h"
#include "server_process.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

#include <thread>

namespace shimmy::e2e {
namespace {

const std::string EXPLAIN = "Explain gradient descent in simple terms.";

std::vector<std::string> lab_http(std::vector<std::string> more) {
    more.insert(more.begin(), {"lab", "http", "--temperature", "0", "-n", "8"});
    return more;
}

// Of a server that this program starts.
std::vector<std::string> served(std::vector<std::string> more) {
    more.insert(more.begin(), {"--model", tiny_moe().string(), "--device", "cpu", "--ctx", "512"});
    return lab_http(std::move(more));
}

TEST(LabHttpLoad, AnOpenLoopSendsWhatIsPlanned) {
    const Json load = shimmy_json(served({"-p", EXPLAIN, "--rate", "4", "--arrivals", "poisson", "--requests", "5",
                                          "--max-ttft", "600000", "--max-tpot", "600000", "--ignore-eos"}))["load"];
    EXPECT_EQ(load["loop"], "open");
    EXPECT_EQ(load["n_planned"], 5);
    EXPECT_EQ(load["n_requests"], 5) << load.dump(1);
    EXPECT_EQ(load["n_failed_requests"], 0);
    EXPECT_EQ(load["n_sse_defects"], 0);
    EXPECT_EQ(load["n_output_tokens"], 40) << "no answer ended early";
    EXPECT_EQ(load["n_good_requests"], 5);
    EXPECT_GT(load["n_prompt_tokens"], 5 * 5);
    EXPECT_GE(load["e2e_ms"]["p50"], load["ttft_ms"]["p50"]);
}

// The model, by option and as a word, is its own draft model: what it drafts is what it writes.
TEST(LabHttpLoad, TheServerSpeculatesAsItIsTold) {
    const std::string draft = tiny_moe().string();
    const Json drafted = shimmy_json(served({"-p", EXPLAIN, "--model-draft", draft}));
    EXPECT_GT(drafted["speculation"]["n_drafted"], 0) << drafted;
    EXPECT_GT(drafted["speculation"]["n_accepted"], 0);
    const Json off = shimmy_json(
        lab_http({draft, "--device", "cpu", "--ctx", "512", "-p", EXPLAIN, "--model-draft", draft, "--spec", "off"}));
    EXPECT_TRUE(off["speculation"].is_null()) << off;
    EXPECT_EQ(off["text"], drafted["text"]);
    expect_failure(served({"-p", EXPLAIN, "--spec", "magic"}), 1, {"--spec", "magic"});
}

TEST(LabHttpLoad, ConversationsAndATraceOfFiles) {
    const TempDir dir;
    write_file_atomic(dir / "talks.json", R"([{"conversations": [{"from": "human", "value": "Tell me about sorting."},
        {"from": "gpt", "value": "x"}, {"from": "human", "value": "Explain gravity."}]}])");
    const Json talk = shimmy_json(served(
        {"--prompts", (dir / "talks.json").string(), "--turns", "0", "--clients", "1", "--requests", "1"}))["load"];
    EXPECT_EQ(talk["n_requests"], 2) << "one conversation of two turns";
    EXPECT_EQ(talk["n_failed_requests"], 0) << talk;
    write_file_atomic(dir / "trace.jsonl",
                      "{\"timestamp\": 100, \"prompt\": \"Tell me about sorting.\", \"max_tokens\": 3}\n"
                      "{\"timestamp\": 300, \"input_length\": 40, \"output_length\": 4, \"hash_ids\": [1]}\n");
    const Json trace = shimmy_json(served({"--trace", (dir / "trace.jsonl").string(), "--ignore-eos"}))["load"];
    EXPECT_EQ(trace["loop"], "trace");
    EXPECT_EQ(trace["n_requests"], 2);
    EXPECT_EQ(trace["n_output_tokens"], 7) << "3 and 4";
}

TEST(LabHttpLoad, AServerThatRunsIsMeasuredAsItIs) {
    const ServerProcess server({"--model", tiny_moe().string(), "--parallel", "2"});
    const std::string url = "http://" + server.address();
    const ProcessResult result =
        shimmy(lab_http({"--url", url + "/v1/", "-p", EXPLAIN, "--clients", "2", "--requests", "4"}));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    for (const char * part : {"2 clients for ", "4 requests answered", "TTFT", "TPOT", "ITL", "E2E"})
        EXPECT_NE(result.out.find(part), std::string::npos) << part << " not in: " << result.out;
    const Json document =
        shimmy_json(lab_http({"--url", url, "--completions", "-p", EXPLAIN, "--clients", "1", "--requests", "2"}));
    EXPECT_EQ(document["url"], url);
    EXPECT_FALSE(document["served_model"].get<std::string>().empty()) << "as it lists it";
    EXPECT_EQ(document["load"]["n_failed_requests"], 0) << document;
}

// A server of the test's own whose streams never end.
TEST(LabHttpLoad, AnInterruptGivesTheFiguresSoFar) {
    std::atomic<int> n_asked{0};
    const LocalServer server([&](const auto &, httplib::Response & response) {
        const std::string event = "data: {\"choices\": [{\"delta\": {\"content\": \"a\"}}]}\n\n";
        const bool ends = ++n_asked <= 2;
        const std::string end =
            "data: {\"choices\": [{\"delta\": {}, \"finish_reason\": \"stop\"}], \"usage\": {\"completion_tokens\": 2}}\n\n"
            "data: [DONE]\n\n";
        answer_in_pieces(response,
                         ends ? std::vector<std::string>{event, event + end} : std::vector<std::string>(3000, event),
                         std::chrono::milliseconds(20));
    });
    std::vector<std::string> argv = lab_http({"--url", server.url(), "--served-model", "m", "-p", "x", "--clients", "1",
                                              "--duration", "600", "--timeout", "600"});
    argv.insert(argv.begin(), SHIMMY_PROGRAM);
    ChildProcess process(argv);
    const auto deadline = std::chrono::steady_clock::now() + RUN_TIMEOUT;
    while (n_asked < 3 && std::chrono::steady_clock::now() < deadline)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_EQ(process.stop(std::chrono::seconds(60)), 130) << process.err();
    std::string out;
    while (const auto line = process.read_line(std::chrono::seconds(1)))
        out += *line + "\n";
    EXPECT_NE(out.find("2 requests answered"), std::string::npos) << out;
    EXPECT_NE(process.err().find("the requests so far"), std::string::npos) << process.err();
}

TEST(LabHttpLoad, WrongUseSaysSo) {
    const TempDir dir;
    const std::string model = tiny_moe().string();
    expect_failure(lab_http({"-p", "x"}), 2, {"--model", "--url"});
    expect_failure(lab_http({"--model", model, "--url", "http://127.0.0.1:1", "-p", "x"}), 2, {"--model", "--url"});
    expect_failure(lab_http({"--url", "http://127.0.0.1:1", "-p", "x"}), 2, {"--url", "--clients"});
    expect_failure(lab_http({"--url", "http://127.0.0.1:1", "-p", "x", "--clients", "1"}), 1, {"127.0.0.1:1"});
    expect_failure(lab_http({"--model", model, "-p", "x", "--clients", "1", "--speed", "2"}), 2,
                   {"--speed", "--trace"});
    expect_failure(lab_http({"--model", model, "-p", "x", "--clients", "1", "--served-model", "m"}), 2,
                   {"--served-model", "--url"});
    expect_failure(lab_http({"--model", model}), 2, {"--prompt"});
    expect_failure(lab_http({"--model", model, "--clients", "2"}), 2, {"--prompt", "--prompts"});
    expect_failure(lab_http({"--model", model, "-p", "x", "--rate", "2", "--sweep"}), 2, {"--rate", "--sweep"});
    expect_failure(lab_http({"--model", model, "-p", "x", "--clients", "2", "--chart", "c.svg"}), 2,
                   {"--chart", "--sweep"});
    expect_failure(lab_http({"--model", model, "-p", "x", "--max-ttft", "5"}), 2, {"--max-", "--clients"});
    expect_failure(lab_http({"--model", model, "-p", "x", "--no-stream", "--clients", "2"}), 2, {"--no-stream"});
    expect_failure(lab_http({"--model", model, "-p", "x", "--no-stream", "--rate", "2"}), 2, {"--no-stream"});
    write_file_atomic(dir / "trace.jsonl", "{\"timestamp\": 1}\n");
    expect_failure(lab_http({"--model", model, "--trace", (dir / "trace.jsonl").string()}), 2,
                   {"trace.jsonl", "line 1", "prompt"});
}

}  // namespace
}  // namespace shimmy::e2e

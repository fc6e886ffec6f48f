// The figures of `shimmy lab http` against others' on the same requests: a program between client and server sees every
// event pass, and a client on OpenAI's own library sends the same load. llama.cpp's own server is measured as well.
#include "base/files.h"
#include "base/process/child_process.h"
#include "e2e/server_process.h"
#include "lab/http/answer_events.h"
#include "lab/http/load_figures.h"
#include "node_packages.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

#include <thread>

namespace shimmy::e2e {
namespace {

constexpr const char * PROMPT = "Explain gradient descent in simple terms.";
constexpr int N_CLIENTS = 3;
constexpr int N_REQUESTS = 12;
constexpr int N_TOKENS = 24;
const std::array DISTRIBUTIONS{"ttft_ms", "tpot_ms", "gap_ms", "e2e_ms"};

// tests/slow/load/observer.py in front of a server.
class Observer {
public:
    explicit Observer(const std::string & upstream)
        : process_({"python3", std::string(SHIMMY_SOURCE_DIR) + "/tests/slow/load/observer.py", upstream}) {
        const Json line = Json::parse(process_.read_line(std::chrono::seconds(60)).value_or("null"));
        EXPECT_TRUE(line.is_object()) << process_.err();
        url_ = "http://" + line.value("address", "");
    }

    const std::string & url() const { return url_; }

    // {"figures", "recording"}
    Json end() {
        (void)run_process({"curl", "-s", "--noproxy", "*", url_ + "/done"}, RUN_TIMEOUT);
        Json document = Json::parse(process_.read_line(std::chrono::seconds(60)).value_or("null"));
        EXPECT_TRUE(document.is_object()) << process_.err();
        return document;
    }

private:
    ChildProcess process_;
    std::string url_;
};

// The same events at the same times, through what `lab http` computes its figures with.
Json figures_of(const Json & recording) {
    lab::LoadPlan plan;
    lab::LoadRun run;
    double begin_ms = recording.at(0).at("sent_ms");
    for (const Json & request : recording) {
        lab::AnswerEvents events;
        lab::RequestRecord record;
        record.sent_ms = record.planned_ms = request.at("sent_ms");
        begin_ms = std::min(begin_ms, record.sent_ms);
        for (const Json & chunk : request.at("chunks"))
            events.feed(chunk.at(1).get<std::string>(), chunk.at(0));
        events.finish();
        EXPECT_TRUE(events.defects().empty()) << events.defects().front();
        record.text_ms = events.text_ms();
        record.n_output_tokens = events.usage().at("completion_tokens");
        record.end_ms = record.text_ms.back();
        run.duration_ms = std::max(run.duration_ms, record.end_ms - begin_ms);
        run.records.push_back(record);
    }
    return lab::load_figures(plan, run, {});
}

// One definition, one recording: the same figures to the last digits.
void expect_equal(const Json & figures, const Json & observed) {
    for (const char * key : {"n_requests", "n_output_tokens"})
        EXPECT_EQ(figures.at(key), observed.at(key)) << key;
    const auto expect_near = [](const Json & a, const Json & b, const std::string & what) {
        EXPECT_NEAR(a.get<double>(), b.get<double>(), 1e-6 * std::abs(b.get<double>())) << what;
    };
    for (const char * key : {"duration_ms", "requests_per_s", "total_tps"})
        expect_near(figures.at(key), observed.at(key), key);
    for (const char * key : DISTRIBUTIONS) {
        for (const char * part : {"mean", "p50", "p90", "p99"})
            expect_near(figures.at(key).at(part), observed.at(key).at(part), fmt::format("{} {}", key, part));
    }
}

// What a client saw of the requests that passed the observer. It sends before the observer receives, and receives after
// the observer sends, so that its times to the first and last event are at least the observer's, whatever the machine
// is busy with. How much longer they are is small beside how much the requests differ: that spread is the noise.
void expect_within_noise(const Json & client, const Json & observed) {
    EXPECT_EQ(client.at("n_requests"), N_REQUESTS);
    for (const char * key : {"n_requests", "n_output_tokens"})
        EXPECT_EQ(client.at(key), observed.at(key)) << key;
    for (const char * key : {"ttft_ms", "e2e_ms"}) {
        for (const char * part : {"mean", "p50", "p90", "p99"})
            EXPECT_GE(client.at(key).at(part).get<double>(), observed.at(key).at(part).get<double>()) << key << part;
    }
    for (const char * key : DISTRIBUTIONS) {
        const Json & seen = observed.at(key);
        const double spread = seen.at("max").get<double>() - seen.at("min").get<double>();
        EXPECT_NEAR(client.at(key).at("p50").get<double>(), seen.at("p50").get<double>(), spread) << key << observed;
    }
    EXPECT_GE(client.at("duration_ms").get<double>(), observed.at("duration_ms").get<double>());
    EXPECT_LE(client.at("requests_per_s").get<double>(), observed.at("requests_per_s").get<double>());
}

std::vector<std::string> lab_http(const std::string & url) {
    return {"lab",
            "http",
            "--url",
            url,
            "-p",
            PROMPT,
            "-n",
            std::to_string(N_TOKENS),
            "--clients",
            std::to_string(N_CLIENTS),
            "--requests",
            std::to_string(N_REQUESTS),
            "--duration",
            "600",
            "--temperature",
            "0"};
}

TEST(SlowLoadClients, FiguresAreThoseOfVllmsDefinitionsOnTheSameRequests) {
    const ServerProcess server({"--model", tiny_moe().string()});  // one request at a time: the others wait
    Observer observer(server.address());
    const Json load = shimmy_json(lab_http(observer.url()))["load"];
    const Json seen = observer.end();
    EXPECT_EQ(load["n_failed_requests"], 0) << load;
    expect_equal(figures_of(seen["recording"]), seen["figures"]);
    expect_within_noise(load, seen["figures"]);
}

TEST(SlowLoadClients, AnotherClientSeesTheSameServerAlike) {
    const ServerProcess server({"--model", tiny_moe().string()});
    Observer observer(server.address());
    const Json other = Json::parse(
        output_of({"node", std::string(SHIMMY_SOURCE_DIR) + "/tests/slow/load/vllm_client.mjs",
                   node_packages() + "/node_modules", observer.url(), "tiny-moe-f16", std::to_string(N_CLIENTS),
                   std::to_string(N_REQUESTS), std::to_string(N_TOKENS), PROMPT}),
        nullptr, /*allow_exceptions=*/false);
    ASSERT_TRUE(other.is_object());
    const Json seen = observer.end();
    expect_within_noise(other, seen["figures"]);
    expect_equal(figures_of(seen["recording"]), seen["figures"]);
}

// llama.cpp's own server, built from the same sources, as a user would measure it.
TEST(SlowLoadClients, LlamaServerIsMeasured) {
    const std::string port = "18441";
    ChildProcess server({(fs::path(SHIMMY_PROGRAM).parent_path() / "llama-server").string(), "--model",
                         tiny_moe().string(), "--host", "127.0.0.1", "--port", port, "--ctx-size", "1024", "--parallel",
                         "2", "--no-webui", "--device", "none"});
    const std::string address = "127.0.0.1:" + port;
    const auto deadline = std::chrono::steady_clock::now() + RUN_TIMEOUT;
    const auto is_ready = [&] {
        return run_process({"curl", "-sf", "--noproxy", "*", "http://" + address + "/health"}, RUN_TIMEOUT).ok();
    };
    while (!is_ready() && !server.has_ended() && std::chrono::steady_clock::now() < deadline)
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    ASSERT_FALSE(server.has_ended()) << server.err();
    Observer observer(address);
    const Json document = shimmy_json(lab_http(observer.url()));
    const Json seen = observer.end();
    const Json & load = document["load"];
    EXPECT_EQ(load["n_failed_requests"], 0) << load;
    EXPECT_EQ(load["n_sse_defects"], 0) << load;
    EXPECT_FALSE(document["served_model"].get<std::string>().empty());
    expect_within_noise(load, seen["figures"]);
    expect_equal(figures_of(seen["recording"]), seen["figures"]);
    // As text completions, at a rate.
    const Json open = shimmy_json({"lab", "http", "--url", "http://" + address, "--completions", "-p", PROMPT, "-n",
                                   "8", "--rate", "5", "--requests", "6", "--temperature", "0"});
    EXPECT_EQ(open["load"]["n_requests"], 6) << open;
    EXPECT_EQ(open["load"]["n_failed_requests"], 0) << open;
    EXPECT_GT(open["load"]["n_output_tokens"], 0) << open;
}

}  // namespace
}  // namespace shimmy::e2e

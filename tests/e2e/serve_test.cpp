// shimmy serve, and what the lab measures through it.
#include "base/child_process.h"
#include "lab/http_client.h"
#include "lab/request.h"
#include "program.h"

#include <unistd.h>
#include <thread>

namespace shimmy::e2e {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr const char * TRAIN = "A train travels 60 miles per hour for 2.5 hours. How far does it go?";

std::vector<std::string> serve_args(const std::vector<std::string> & more) {
    std::vector<std::string> args{SHIMMY_PROGRAM, "serve", "--model", tiny_moe().string(), "--device", "cpu",
                                  "--ctx",        "512",   "--json"};
    args.insert(args.end(), more.begin(), more.end());
    return args;
}

class Serve : public ::testing::Test {
protected:
    Serve() : Serve({"--bind", "127.0.0.1:0", "--parallel", "2"}) {}
    explicit Serve(const std::vector<std::string> & args) : server_(serve_args(args)) {
        const auto line = server_.read_line(seconds(60));
        started_ = Json::parse(line.value_or("null"), nullptr, /*allow_exceptions=*/false);
        EXPECT_TRUE(started_.is_object()) << server_.err();
    }

    std::string address() const { return started_.value("address", ""); }
    lab::HttpAnswer ask(const lab::Request & request) {
        lab::HttpClient client("http://" + address());
        return client.post(request.path, request.body);
    }
    // Status and body of a raw request.
    std::string curl(const std::vector<std::string> & args) const {
        std::vector<std::string> argv{"curl", "-s", "--noproxy", "*", "-w", " %{http_code}"};
        argv.insert(argv.end(), args.begin(), args.end());
        return run_process(argv, seconds(30)).out;
    }

    ChildProcess server_;
    Json started_;
};

const engine::SamplingOptions GREEDY{0.0F};

TEST_F(Serve, AnswersLikeGenerateStreamedAndNot) {
    const Json generated = shimmy_json({"generate", "--model", tiny_moe().string(), "--device", "cpu", "--ctx", "512",
                                        "--temperature", "0", "-n", "48", "-p", TRAIN});
    const lab::HttpAnswer stream = ask(lab::make_request(true, TRAIN, 48, GREEDY, true));
    const lab::HttpAnswer whole = ask(lab::make_request(true, TRAIN, 48, GREEDY, false));
    ASSERT_EQ(stream.error, "");
    ASSERT_EQ(whole.error, "");
    EXPECT_EQ(stream.events.text(), generated["text"]);
    EXPECT_EQ(lab::choice_text(whole.document["choices"][0]), generated["text"]);
    EXPECT_EQ(stream.events.usage()["completion_tokens"], generated["n_output_tokens"]);
    EXPECT_EQ(stream.events.usage()["prompt_tokens"], generated["n_prompt_tokens"]);
    EXPECT_TRUE(stream.events.defects().empty()) << stream.events.defects()[0];
    EXPECT_LT(stream.ttft_ms, stream.total_ms);
}

TEST_F(Serve, SaysWhatItLoadedAndThatItIsThere) {
    EXPECT_EQ(started_["model"]["arch"], "deepseek");
    EXPECT_EQ(started_["n_ctx"], 512);
    EXPECT_EQ(started_["n_parallel"], 2);
    EXPECT_EQ(started_["device"]["kind"], "cpu");
    EXPECT_EQ(curl({"http://" + address() + "/health"}), "{\"status\":\"ok\"} 200");
    EXPECT_NE(curl({"http://" + address() + "/v1/models"}).find("tiny-moe-f16"), std::string::npos);
}

TEST_F(Serve, BadRequestsGetJsonErrorsAndTheServerLives) {
    const std::string chat = "http://" + address() + "/v1/chat/completions";
    for (const char * body : {"{bad", "[]", "{}", "{\"messages\": 3}", "{\"messages\": [{\"role\": 1}]}", "\xff"}) {
        const std::string answer = curl({"-d", body, chat});
        EXPECT_NE(answer.find("\"error\""), std::string::npos) << body << ": " << answer;
        EXPECT_EQ(answer.substr(answer.size() - 3), "400") << body << ": " << answer;
    }
    EXPECT_NE(curl({"http://" + address() + "/nothing"}).find("404"), std::string::npos);
    EXPECT_EQ(curl({"http://" + address() + "/health"}), "{\"status\":\"ok\"} 200");
}

TEST_F(Serve, APortThatIsTakenIsAnErrorThatSaysSo) {
    expect_failure({"serve", "--model", tiny_moe().string(), "--device", "cpu", "--bind", address()}, 1,
                   {address(), "Address already in use", "127.0.0.1:0 takes any free port"});
}

TEST_F(Serve, SigtermEndsItWhileItAnswers) {
    Json body = lab::make_request(true, TRAIN, 450, GREEDY, true).body;
    body["ignore_eos"] = true;
    std::jthread client([&] { (void)ask({"/v1/chat/completions", body}); });
    std::this_thread::sleep_for(milliseconds(150));
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(server_.stop(seconds(5)), 0) << server_.err();
    EXPECT_LT(std::chrono::steady_clock::now() - start, seconds(5));
}

class ServeWithKey : public Serve {
protected:
    ServeWithKey() : Serve({"--bind", "0.0.0.0:0", "--api-key", "secret"}) {}
};

TEST_F(ServeWithKey, AsksForTheKeyAndNeverSaysIt) {
    const std::string url = "http://127.0.0.1" + address().substr(address().rfind(':'));
    EXPECT_EQ(curl({url + "/health"}), "{\"status\":\"ok\"} 200");
    const std::string body = R"({"messages": [{"role": "user", "content": "a"}], "max_tokens": 2})";
    EXPECT_NE(curl({"-d", body, url + "/v1/chat/completions"}).find("401"), std::string::npos);
    const std::string key = "Authorization: Bearer secret";
    EXPECT_NE(curl({"-d", body, "-H", key, url + "/v1/chat/completions"}).find(" 200"), std::string::npos);
    server_.stop(seconds(5));
    EXPECT_EQ(server_.err().find("secret"), std::string::npos);
}

TEST(ServeErrors, AddressesBeyondLoopbackNeedAKey) {
    const std::string model = tiny_moe().string();
    expect_failure({"serve", "--model", model, "--bind", "0.0.0.0:0"}, 2, {"0.0.0.0:0", "other machines", "--api-key"});
    expect_failure({"serve", "--model", model, "--bind", "[::]:0"}, 2, {"other machines"});
    expect_failure({"serve", "--model", model, "--bind", "127.0.0.1:99999"}, 2, {"127.0.0.1:99999", "port"});
    expect_failure({"serve"}, 2, {"which model?"});
    expect_failure({"serve", "--model", model, "--device", "cpu", "--ctx", "99999"}, 2, {"context of 99999"});
}

TEST(LabHttp, OneEventPerTokenAndTheSameTextColdAndWarm) {
    const std::vector<std::string> args{
        "lab", "http", "--model", tiny_moe().string(), "--device", "cpu", "--ctx", "512", "--temperature", "0", "-n",
        "40",  "-p",   TRAIN};
    const Json stream = shimmy_json(args);
    EXPECT_TRUE(stream["sse"]["defects"].empty()) << stream["sse"];
    EXPECT_EQ(stream["sse"]["n_text_events"], 40);
    EXPECT_EQ(stream["n_output_tokens"], 40);
    EXPECT_EQ(stream["token_ms"].size(), 40U);
    EXPECT_TRUE(stream["cold"]["same_text"]);
    EXPECT_GT(stream["peak_rss_bytes"].get<uint64_t>(), uint64_t{10} << 20);
    std::vector<std::string> whole = args;
    whole.emplace_back("--no-stream");
    EXPECT_EQ(shimmy_json(whole)["text"], stream["text"]);
}

TEST(LabHttp, ManyClientsAtOnce) {
    const Json document = shimmy_json({"lab",
                                       "http",
                                       "--model",
                                       tiny_moe().string(),
                                       "--device",
                                       "cpu",
                                       "--ctx",
                                       "512",
                                       "--temperature",
                                       "0",
                                       "-n",
                                       "16",
                                       "-p",
                                       TRAIN,
                                       "-p",
                                       "Explain gradient descent in simple terms.",
                                       "--clients",
                                       "4",
                                       "--duration",
                                       "2"});
    const Json & load = document["load"];
    EXPECT_EQ(load["n_failed_requests"], 0) << load;
    EXPECT_EQ(load["n_sse_defects"], 0);
    EXPECT_GE(load["n_requests"].get<int>(), 4);
    EXPECT_LE(load["ttft_ms"]["p50"].get<double>(), load["ttft_ms"]["p99"].get<double>());
    EXPECT_NEAR(load["duration_ms"].get<double>(), 2000.0, 1500.0);
    EXPECT_NEAR(load["total_tps"].get<double>(),
                load["n_output_tokens"].get<double>() / load["duration_ms"].get<double>() * 1000.0, 1e-6);
}

TEST(LabHttp, AServerThatDoesNotStartIsExplained) {
    expect_failure({"lab", "http", "--model", tiny_moe().string(), "--device", "cpu", "--ctx", "99999", "-p", "x"}, 1,
                   {"the server did not start", "context of 99999"});
}

}  // namespace
}  // namespace shimmy::e2e

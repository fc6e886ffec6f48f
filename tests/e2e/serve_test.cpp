// shimmy serve through its OpenAI API: answers, errors, addresses and keys, clients that go away.
#include "lab/http/http_client.h"
#include "lab/http/request.h"
#include "server_process.h"

#include <httplib.h>

#include <thread>

namespace shimmy::e2e {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr const char * TRAIN = "A train travels 60 miles per hour for 2.5 hours. How far does it go?";

const engine::SamplingOptions GREEDY{0.0F};

class Serve : public ::testing::Test {
protected:
    lab::HttpAnswer ask(const lab::Request & request) {
        lab::HttpClient client("http://" + server_.address());
        return client.post(request.path, request.body);
    }

    ServerProcess server_{{"--model", tiny_moe().string(), "--parallel", "2"}};
};

constexpr int N_ENDLESS = 450;  // tokens: nearly the whole context

Json endless_train() {
    Json body = lab::make_request(true, TRAIN, N_ENDLESS, GREEDY, true).body;
    body["ignore_eos"] = true;
    return body;
}

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
    const Json & started = server_.started();
    EXPECT_EQ(started["model"]["arch"], "deepseek");
    EXPECT_EQ(started["n_ctx"], 512);
    EXPECT_EQ(started["n_parallel"], 2);
    EXPECT_EQ(started["device"]["kind"], "cpu");
    EXPECT_EQ(server_.curl("/health").body, R"({"status":"ok"})");
    EXPECT_EQ(server_.curl("/v1/models").json()["data"][0]["id"], "tiny-moe-f16");
    EXPECT_EQ(server_.curl("/v1/models/tiny_moe-F16").json()["meta"]["state"], "ready");
}

TEST_F(Serve, BadRequestsGetJsonErrorsAndTheServerLives) {
    for (const char * body :
         {"{bad", "[]", "{}", "{\"messages\": 3}", "{\"messages\": [{\"role\": 1}]}", "\xff", "{\"model\": 3}"}) {
        const HttpReply reply = server_.curl("/v1/chat/completions", {"-d", body});
        EXPECT_EQ(reply.status, 400) << body << ": " << reply.body;
        EXPECT_EQ(reply.json()["error"]["code"], 400) << body << ": " << reply.body;
    }
    const HttpReply nothing = server_.curl("/nothing");
    EXPECT_EQ(nothing.status, 404);
    EXPECT_NE(nothing.json()["error"]["message"].get<std::string>().find("GET /nothing"), std::string::npos);
    EXPECT_EQ(server_.curl("/../../etc/passwd", {"--path-as-is"}).status, 404);
    const HttpReply unknown = server_.post("/v1/completions", {{"model", "tiny-moe-f61"}, {"prompt", "a"}});
    EXPECT_EQ(unknown.status, 404);
    EXPECT_NE(unknown.body.find("did you mean tiny-moe-f16?"), std::string::npos) << unknown.body;
    EXPECT_EQ(
        server_.post("/v1/completions", {{"model", "../../models/tiny-moe/tiny-moe-f16.gguf"}, {"prompt", "a"}}).status,
        404);
    EXPECT_EQ(server_.curl("/health").status, 200);
}

TEST_F(Serve, APromptBeyondTheContextIsToldTheNumbers) {
    std::string prompt;
    for (int i = 0; i < 600; ++i)
        prompt += "word ";
    const HttpReply reply = server_.post("/v1/completions", {{"prompt", prompt}});
    EXPECT_EQ(reply.status, 400) << reply.body;
    EXPECT_EQ(reply.json()["error"]["n_ctx"], 512);
    EXPECT_GT(reply.json()["error"]["n_prompt_tokens"], 512);
}

TEST_F(Serve, ABodyThatIsTooLargeIsRefused) {
    const std::string command =
        "head -c 100000000 /dev/zero | curl -s --noproxy '*' -w '\\n%{http_code}' --data-binary @- "
        "http://" +
        server_.address() + "/v1/completions";
    const std::string out = run_process({"bash", "-c", command}, seconds(60)).out;
    EXPECT_TRUE(out.ends_with("413")) << out;
    EXPECT_NE(out.find("32 MiB"), std::string::npos) << out;
    EXPECT_EQ(server_.curl("/health").status, 200);
}

TEST_F(Serve, ConnectionsAreKept) {
    httplib::Client client("http://" + server_.address());
    client.set_keep_alive(true);
    const std::string body = lab::make_request(true, TRAIN, 3, GREEDY, true).body.dump();
    for (int i = 0; i < 3; ++i) {
        const auto result = client.Post("/v1/chat/completions", body, "application/json");
        ASSERT_TRUE(result);
        EXPECT_NE(result->get_header_value("Connection"), "close");
        EXPECT_TRUE(result->body.ends_with("data: [DONE]\n\n"));
    }
    EXPECT_EQ(client.socket() != INVALID_SOCKET, true);
}

// How many requests the model works on now.
int n_busy_slots(const ServerProcess & server) {
    int busy = 0;
    for (const Json & slot : server.curl("/slots").json())
        busy += slot["is_processing"].get<bool>() ? 1 : 0;
    return busy;
}

TEST_F(Serve, AClientThatGoesAwayEndsItsGeneration) {
    const int n_before = server_.n_tokens_computed();
    {
        httplib::Client client("http://" + server_.address());
        size_t n_chunks = 0;
        (void)client.Post("/v1/chat/completions", httplib::Headers{}, endless_train().dump(), "application/json",
                          [&](const char *, size_t) { return ++n_chunks < 3; });
        EXPECT_EQ(n_chunks, 3U);
    }
    const auto gone = std::chrono::steady_clock::now();
    while (n_busy_slots(server_) > 0 && std::chrono::steady_clock::now() - gone < seconds(60))
        std::this_thread::sleep_for(milliseconds(10));
    EXPECT_EQ(n_busy_slots(server_), 0);
    EXPECT_GT(server_.n_tokens_computed(), n_before);
    EXPECT_LT(server_.n_tokens_computed() - n_before, N_ENDLESS) << "it went on to its end";
}

TEST_F(Serve, ClientsThatSendSlowlyDoNotHoldOthersUp) {
    std::vector<std::unique_ptr<ChildProcess>> slow;
    const std::string port = server_.address().substr(server_.address().rfind(':') + 1);
    for (int i = 0; i < 30; ++i) {
        slow.push_back(std::make_unique<ChildProcess>(std::vector<std::string>{
            "bash", "-c",
            "exec 3<>/dev/tcp/127.0.0.1/" + port + "; printf 'POST /v1/completions HTTP/1.1\\r\\nHo' >&3; sleep 120"}));
    }
    std::this_thread::sleep_for(milliseconds(300));
    EXPECT_EQ(server_.post("/v1/completions", {{"prompt", "a"}, {"max_tokens", 2}}).status, 200);
    for (const auto & client : slow)
        EXPECT_FALSE(client->has_ended()) << "the answer came while all of them were sending";
}

TEST_F(Serve, APortThatIsTakenIsAnErrorThatSaysSo) {
    expect_failure(
        {"serve", "--model", tiny_moe().string(), "--device", "cpu", "--bind", server_.address()}, 1,
        {fmt::format("{} is taken by shimmy (process {})", server_.address(), server_.started()["pid"].get<int>()),
         "is free: --bind 127.0.0.1:"});
}

TEST_F(Serve, SigtermEndsItWhileItAnswers) {
    std::jthread client([&] { (void)ask({"/v1/chat/completions", endless_train()}); });
    std::this_thread::sleep_for(milliseconds(150));
    EXPECT_EQ(server_.process().stop(seconds(60)), 0) << server_.process().err();
}

TEST_F(Serve, PagesOfOtherOriginsMayNotUseIt) {
    const std::vector<std::string> foreign{"-H", "Origin: https://example.com"};
    const HttpReply refused = server_.post("/v1/completions", {{"prompt", "a"}}, foreign);
    EXPECT_EQ(refused.status, 403) << refused.body;
    EXPECT_EQ(server_
                  .curl("/ws/generate",
                        {"-H", "Origin: https://example.com", "-H", "Upgrade: websocket", "-H", "Connection: Upgrade",
                         "-H", "Sec-WebSocket-Version: 13", "-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="})
                  .status,
              403);
    const HttpReply local = server_.curl("/health", {"-i", "-H", "Origin: http://localhost:3000"});
    EXPECT_NE(local.body.find("Access-Control-Allow-Origin: http://localhost:3000"), std::string::npos) << local.body;
    EXPECT_EQ(server_.curl("/health", {"-H", "Origin: http://" + server_.address()}).status, 200);
    EXPECT_EQ(server_.curl("/health", {"-H", "Origin: http://localhost.example.com"}).status, 403);
}

TEST(ServeWithKey, AsksForTheKeyAndNeverSaysIt) {
    ServerProcess server({"--model", tiny_moe().string(), "--bind", "0.0.0.0:0", "--api-key", "secret-key", "-vv"});
    const std::string url = "http://127.0.0.1" + server.address().substr(server.address().rfind(':'));
    EXPECT_EQ(server.curl(url + "/health").status, 200);
    const Json body{{"messages", Json::array({{{"role", "user"}, {"content", "a"}}})}, {"max_tokens", 2}};
    const std::string chat = url + "/v1/chat/completions";
    EXPECT_EQ(server.post(chat, body).status, 401);
    EXPECT_EQ(server.post(chat, body, {"-H", "Authorization: Bearer secret-ke"}).status, 401);
    EXPECT_EQ(server.post(chat, body, {"-H", "Authorization: Bearer secret-key"}).status, 200);
    EXPECT_EQ(server.post(chat, body, {"-H", "x-api-key: secret-key"}).status, 200);
    EXPECT_EQ(server.curl(url + "/metrics").status, 401);
    EXPECT_EQ(server
                  .curl(url + "/ws/generate",
                        {"-H", "Upgrade: websocket", "-H", "Connection: Upgrade", "-H", "Sec-WebSocket-Version: 13",
                         "-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="})
                  .status,
              401);
    server.process().stop(seconds(5));
    EXPECT_EQ(server.process().err().find("secret-key"), std::string::npos);
}

TEST(ServeErrors, AddressesBeyondLoopbackNeedAKey) {
    const std::string model = tiny_moe().string();
    expect_failure({"serve", "--model", model, "--bind", "0.0.0.0:0"}, 2, {"0.0.0.0:0", "other machines", "--api-key"});
    expect_failure({"serve", "--model", model, "--bind", "[::]:0"}, 2, {"other machines"});
    expect_failure({"serve", "--model", model, "--ollama-bind", "0.0.0.0:0"}, 2, {"other machines"});
    expect_failure({"serve", "--model", model, "--bind", "127.0.0.1:99999"}, 2, {"127.0.0.1:99999", "port"});
    expect_failure({"serve", "--model", "no-such-model.gguf"}, 1, {"no-such-model.gguf", "no such file"});
    expect_failure({"serve", "--model", model, "--device", "cpu", "--bind", "127.0.0.1:0", "--ctx", "99999"}, 1,
                   {"context of 99999"});
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
    EXPECT_GT(stream["expert_use"].size(), 0U);
    std::vector<std::string> whole = args;
    whole.emplace_back("--no-stream");
    EXPECT_EQ(shimmy_json(whole)["text"], stream["text"]);
}

TEST(LabHttp, ManyClientsAtOnce) {
    const std::vector<std::string> args{"lab",
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
                                        "6"};
    const Json document = shimmy_json(args);
    const Json & load = document["load"];
    EXPECT_EQ(load["n_failed_requests"], 0) << load;
    EXPECT_EQ(load["n_sse_defects"], 0);
    EXPECT_GE(load["n_requests"].get<int>(), 4);
    EXPECT_LE(load["ttft_ms"]["p50"].get<double>(), load["ttft_ms"]["p99"].get<double>());
    EXPECT_NEAR(load["duration_ms"].get<double>(), 6000.0, 4500.0);
    EXPECT_NEAR(load["total_tps"].get<double>(),
                load["n_output_tokens"].get<double>() / load["duration_ms"].get<double>() * 1000.0, 1e-6);
}

TEST(LabHttp, AServerThatDoesNotStartIsExplained) {
    expect_failure({"lab", "http", "--model", tiny_moe().string(), "--device", "cpu", "--ctx", "99999", "-p", "x"}, 1,
                   {"the server did not start", "context of 99999"});
}

}  // namespace
}  // namespace shimmy::e2e

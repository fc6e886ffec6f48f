// shimmy serve and clients that misbehave: those that go away, read slowly, or send what is no HTTP.
#include "base/files.h"
#include "lab/http/http_client.h"
#include "lab/http/request.h"
#include "server_process.h"

#include <httplib.h>

#include <thread>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace shimmy::e2e {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

constexpr int ENDLESS = 450;  // tokens: nearly the whole context

Json endless_story(bool stream) {
    Json body = lab::make_request(true, "Tell me a story.", ENDLESS, engine::SamplingOptions{0.0F}, stream).body;
    body["ignore_eos"] = true;
    return body;
}

// A connection of which every byte is the test's.
class RawClient {
public:
    explicit RawClient(const ServerProcess & server, int receive_buffer_bytes = 0)
        : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        if (receive_buffer_bytes > 0)
            ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof(receive_buffer_bytes));
        const timeval timeout{20, 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port =
            htons(static_cast<uint16_t>(std::stoi(server.address().substr(server.address().rfind(':') + 1))));
        EXPECT_EQ(::connect(fd_, reinterpret_cast<const sockaddr *>(&address), sizeof(address)), 0);
    }
    ~RawClient() { ::close(fd_); }
    RawClient(const RawClient &) = delete;
    RawClient & operator=(const RawClient &) = delete;

    void send(const std::string & bytes) const {
        for (size_t sent = 0; sent < bytes.size();) {
            const ssize_t n = ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
            if (n <= 0) return;  // the server refused the rest
            sent += static_cast<size_t>(n);
        }
    }
    void post(const std::string & path, const Json & body) const {
        send(fmt::format("POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{}", path, body.dump().size(),
                         body.dump()));
    }
    // Until `what` came or nothing more does.
    std::string receive_until(const std::string & what) const {
        std::string received;
        char buffer[4096];
        while (received.find(what) == std::string::npos) {
            const ssize_t n = ::recv(fd_, buffer, sizeof(buffer), 0);
            if (n <= 0) break;
            received.append(buffer, static_cast<size_t>(n));
        }
        return received;
    }
    // Nothing more is sent.
    void finish() const { ::shutdown(fd_, SHUT_WR); }
    std::string receive_all() const { return receive_until("\x01never\x01"); }

private:
    int fd_;
};

int n_busy(const ServerProcess & server) {
    int busy = 0;
    for (const Json & slot : server.curl("/slots").json())
        busy += slot["is_processing"].get<bool>() ? 1 : 0;
    return busy;
}

void wait_for_busy(const ServerProcess & server, int n) {
    for (const auto end = Clock::now() + seconds(60); n_busy(server) != n && Clock::now() < end;)
        std::this_thread::sleep_for(milliseconds(5));
}

class ServeClients : public ::testing::Test {
protected:
    // What is at work now must end before its last token; in all, less than `most` tokens since the last time.
    void expect_end_of_work(int most = ENDLESS) {
        wait_for_busy(server_, 0);
        EXPECT_EQ(n_busy(server_), 0);
        const int n = server_.n_tokens_computed();
        EXPECT_GT(n, n_before_);
        EXPECT_LT(n - n_before_, most);
        n_before_ = n;
    }

    ServerProcess server_{{"--model", tiny_moe().string(), "--ollama-bind", "127.0.0.1:0"}};
    int n_before_ = server_.n_tokens_computed();
};

TEST_F(ServeClients, OneThatWaitsForAWholeAnswerAndGoesAwayEndsItsWork) {
    for (const char * path : {"/v1/chat/completions", "/v1/messages"}) {
        {
            const RawClient client(server_);
            client.post(path, endless_story(false));
            wait_for_busy(server_, 1);
        }
        expect_end_of_work();
    }
}

// Also while another one keeps the model busy, whatever the API.
TEST(ServeTwoClients, OneLeavesAndTheOtherGoesOn) {
    ServerProcess server({"--model", tiny_moe().string(), "--parallel", "2"});
    int n_before = server.n_tokens_computed();
    for (const char * path : {"/v1/messages", "/v1/chat/completions", "/completion"}) {
        Json body = endless_story(false);
        body["prompt"] = "Hello";
        const RawClient stays(server);
        Json other = endless_story(true);
        other["prompt"] = "Hello";
        stays.post(path, other);
        (void)stays.receive_until("data: ");
        {
            const RawClient leaves(server);
            leaves.post(path, body);
            wait_for_busy(server, 2);
        }
        wait_for_busy(server, 1);
        wait_for_busy(server, 0);
        const int n = server.n_tokens_computed();
        EXPECT_GT(n, n_before) << path;
        EXPECT_LT(n - n_before, 2 * ENDLESS) << path << ": it was computed to its end";
        n_before = n;
    }
}

TEST_F(ServeClients, OneThatGoesAwayInTheQueueIsNotAnswered) {
    const RawClient first(server_);
    first.post("/v1/chat/completions", endless_story(true));
    (void)first.receive_until("data: ");
    {
        const RawClient second(server_);
        second.post("/v1/chat/completions", endless_story(false));
        std::this_thread::sleep_for(milliseconds(50));
    }
    EXPECT_NE(first.receive_until("data: [DONE]").find("data: [DONE]"), std::string::npos);
    expect_end_of_work(2 * ENDLESS);
}

TEST_F(ServeClients, OneThatLeavesAWebSocketEndsItsWork) {
    {
        httplib::ws::WebSocketClient client("ws://" + server_.address() + "/ws/generate");
        ASSERT_TRUE(client.connect());
        ASSERT_TRUE(client.send(Json{{"prompt", "Hello"}, {"max_tokens", ENDLESS}, {"ignore_eos", true}}.dump()));
        std::string frame;
        ASSERT_TRUE(client.read(frame));
    }
    expect_end_of_work();
}

TEST_F(ServeClients, OneThatLeavesOllamasApiEndsItsWork) {
    const Json body{
        {"model", "tiny-moe-f16"}, {"prompt", "Hello"}, {"stream", false}, {"options", {{"num_predict", ENDLESS}}}};
    const std::string url = "http://" + server_.started()["ollama_address"].get<std::string>() + "/api/generate";
    (void)run_process({"curl", "-s", "-m", "0.2", "--noproxy", "*", url, "-d", body.dump()}, seconds(10));
    expect_end_of_work();
}

// A header of llama.cpp's own would keep the answer going for somebody who fetches it later.
TEST_F(ServeClients, OneThatGoesAwayEndsItsWorkWhateverItsHeadersSay) {
    {
        const RawClient client(server_);
        const std::string body = endless_story(true).dump();
        client.send(
            fmt::format("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nX-Conversation-Id: 1\r\nContent-Length: "
                        "{}\r\n\r\n{}",
                        body.size(), body));
        (void)client.receive_until("data: ");
    }
    expect_end_of_work();
}

TEST(ServeSlowClients, OnesThatDoNotReadDoNotHoldOthersUp) {
    ServerProcess server({"--model", tiny_moe().string(), "--parallel", "4"});
    std::vector<std::unique_ptr<RawClient>> slow;
    for (int i = 0; i < 3; ++i) {
        slow.push_back(std::make_unique<RawClient>(server, 1024));
        Json body = endless_story(true);
        body["n_probs"] = 50;  // events of several KiB: more than the sockets take
        body["logprobs"] = true;
        body["top_logprobs"] = 50;
        slow.back()->post("/v1/chat/completions", body);
    }
    std::this_thread::sleep_for(milliseconds(300));
    EXPECT_EQ(server.post("/v1/completions", {{"prompt", "a"}, {"max_tokens", 16}}).status, 200);
    // And they get all of it once they read.
    EXPECT_NE(slow.front()->receive_until("data: [DONE]").find("data: [DONE]"), std::string::npos);
}

TEST_F(ServeClients, WhatIsNoRequestIsRefusedAndTheServerLives) {
    const std::string body = R"({"prompt": "a", "max_tokens": 1})";
    const std::string head = "POST /v1/completions HTTP/1.1\r\nHost: a\r\n";
    for (const std::string & request : {
             std::string("nonsense\r\n\r\n"),
             std::string("GET / HTTP/9.9\r\n\r\n"),
             std::string("BREW /v1/completions HTTP/1.1\r\nHost: a\r\n\r\n"),
             "GET /" + std::string(100000, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n",
             "GET /health HTTP/1.1\r\nHost: a\r\nX: " + std::string(100000, 'a') + "\r\n\r\n",
             head + "Content-Length: -1\r\n\r\n" + body,
             head + "Content-Length: 99999999999999999999\r\n\r\n" + body,
             head + "Content-Length: 5\r\nContent-Length: 32\r\n\r\n" + body,
             head + "Transfer-Encoding: chunked\r\nContent-Length: 32\r\n\r\n20\r\n" + body + "\r\n0\r\n\r\n",
             head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n" + body + "\r\n0\r\n\r\n",
             std::string("GET /health HTTP/1.1\r\nHost: a\r\nX-\0: b\r\n\r\n", 41),
             std::string("GET /%00/..%2f..%2fetc/passwd HTTP/1.1\r\nHost: a\r\n\r\n"),
         }) {
        const RawClient client(server_);
        client.send(request);
        const std::string answer = client.receive_until("\r\n\r\n");
        EXPECT_TRUE(answer.empty() || answer.find("HTTP/1.1 4") == 0) << request.substr(0, 200) << "\n→ " << answer;
    }
    EXPECT_EQ(server_.curl("/health").status, 200);
}

size_t count_of(const std::string & text, const std::string & what) {
    size_t n = 0;
    for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += what.size())
        ++n;
    return n;
}

TEST_F(ServeClients, ABodyIsNeverARequest) {
    const std::string inner = "GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n";
    for (const std::string & head :
         {"FOO / HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(inner.size()) + "\r\n\r\n",
          "POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: " +
              std::to_string(inner.size()) + "\r\n\r\n",
          std::string("nonsense\r\n\r\n"), std::string("GET /nothing HTTP/9.9\r\nHost: a\r\n\r\n"),
          "POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(inner.size()) + "\r\n\r\n",
          std::string("POST /v1/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")}) {
        const RawClient client(server_);
        client.send(head + inner);
        client.finish();
        const std::string answer = client.receive_all();
        EXPECT_EQ(count_of(answer, "Server: shimmy"), 1U) << head << "\n→ " << answer;
        EXPECT_EQ(answer.find("tiny-moe-f16"), std::string::npos) << head << "\n→ " << answer;
    }
}

TEST_F(ServeClients, RequestsThatAreSentAheadAreAnsweredInOrder) {
    constexpr int N = 10;
    const RawClient client(server_);
    std::string all;
    for (int i = 0; i < N; ++i) {
        const std::string body = fmt::format(R"({{"content": "{}"}})", i);
        all += fmt::format("POST /tokenize HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n{}\r\n{}", body.size(),
                           i == N - 1 ? "Connection: close\r\n" : "", body);
    }
    client.send(all);
    EXPECT_EQ(count_of(client.receive_all(), "HTTP/1.1 200"), static_cast<size_t>(N));
}

// 256 MiB for all bodies together: the eighth of 31 MiB fits, the ninth does not.
TEST_F(ServeClients, MemoryOfWhatWaitsIsBoundedTogether) {
    constexpr size_t BODY_BYTES = size_t{31} << 20;
    const std::string most(BODY_BYTES - 1, ' ');
    const std::string head =
        fmt::format("POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", BODY_BYTES);
    std::vector<std::unique_ptr<RawClient>> waiting;
    for (int i = 0; i < 8; ++i) {
        waiting.push_back(std::make_unique<RawClient>(server_));
        waiting.back()->send(head + most);
    }
    const RawClient late(server_);
    late.send(head + most);
    const std::string refused = late.receive_until("waiting");
    EXPECT_EQ(refused.substr(0, 12), "HTTP/1.1 503") << refused;
    EXPECT_NE(refused.find("Retry-After: 1"), std::string::npos) << refused;
    EXPECT_EQ(server_.post("/v1/completions", {{"prompt", "a"}, {"max_tokens", 1}}).status, 200) << "small ones fit";
    waiting.front()->send("x");  // the last byte: the body is whole, and no JSON
    EXPECT_EQ(waiting.front()->receive_until("\r\n\r\n").substr(0, 12), "HTTP/1.1 400");
    waiting.clear();
    const RawClient again(server_);
    again.send(head + most + "x");
    EXPECT_EQ(again.receive_until("\r\n\r\n").substr(0, 12), "HTTP/1.1 400") << "the others gave back what they held";
}

// Peak of the RAM that a process has held.
size_t peak_mib(pid_t pid) {
    const std::string status = read_file(fmt::format("/proc/{}/status", pid));
    return std::stoull(status.substr(status.find("VmHWM:") + 6)) / 1024;
}

// None of them can fit, each costs many times its size before that is known, and the model's process does not go for
// it: they take turns, and are refused before they become one text, or tokens.
TEST(ServeLargeRequests, AllAtOnceCostNeitherTheModelNorTheMachine) {
    ServerProcess server({"--model", tiny_moe().string(), "--parallel", "4"});
    const auto model = [&] { return server.curl("/api/models/tiny-moe-f16/status").json()["n_loads"]; };
    std::string text;
    while (text.size() < (size_t{20} << 20))
        text += "one word and another ";
    const Json messages = Json::array({{{"role", "user"}, {"content", text}}});
    const std::vector<std::pair<std::string, std::string>> requests{
        {"/v1/chat/completions", Json{{"messages", messages}}.dump()},
        {"/v1/messages", Json{{"messages", messages}, {"max_tokens", 1}}.dump()},
        {"/v1/responses", Json{{"input", text}}.dump()},
        {"/v1/completions", Json{{"prompt", text}}.dump()},
        {"/tokenize", Json{{"content", text}}.dump()},
        {"/apply-template", Json{{"messages", messages}}.dump()},
        {"/v1/messages/count_tokens", Json{{"messages", messages}}.dump()},
        {"/api/generate", Json{{"prompt", text}}.dump()},
        {"/v1/chat/completions",
         Json{{"messages", std::vector<Json>(200'000, Json{{"role", "user"}, {"content", "a"}})}}.dump()},
    };
    std::vector<std::jthread> clients;
    std::vector<int> statuses(requests.size());
    for (size_t i = 0; i < requests.size(); ++i) {
        clients.emplace_back([&, i] {
            httplib::Client client("http://" + server.address());
            client.set_read_timeout(120);
            client.set_write_timeout(120);
            const auto result = client.Post(requests[i].first, requests[i].second, "application/json");
            statuses[i] = result ? result->status : 0;
        });
    }
    clients.clear();
    for (size_t i = 0; i < requests.size(); ++i)
        EXPECT_EQ(statuses[i], 400) << requests[i].first;
    EXPECT_EQ(model(), 1) << server.process().err();
    EXPECT_LT(peak_mib(server.started()["pid"].get<pid_t>()), 1200U);
}

// Half heads from one address: whoever is last gets in, because the one that has waited longest goes.
TEST_F(ServeClients, ThoseThatOnlyHoldConnectionsMakeRoom) {
    constexpr size_t MOST = 1024;  // of one address
    std::vector<std::unique_ptr<RawClient>> holders;
    for (size_t i = 0; i < MOST + 50; ++i) {
        holders.push_back(std::make_unique<RawClient>(server_));
        holders.back()->send("GET /health HTTP/1.1\r\nHo");
    }
    EXPECT_EQ(server_.curl("/health").status, 200);
    EXPECT_EQ(holders.front()->receive_all(), "") << "it was closed";
    holders.back()->send("st: a\r\n\r\n");
    EXPECT_EQ(holders.back()->receive_until("\r\n\r\n").substr(0, 12), "HTTP/1.1 200") << "the last one was not";
}

TEST_F(ServeClients, OneOfHttp10GetsAStreamUntilTheConnectionEnds) {
    const RawClient client(server_);
    const std::string body = R"({"prompt": "a", "max_tokens": 2, "stream": true})";
    client.send(fmt::format("POST /v1/completions HTTP/1.0\r\nContent-Length: {}\r\n\r\n{}", body.size(), body));
    const std::string answer = client.receive_all();
    EXPECT_EQ(answer.find("chunked"), std::string::npos) << answer;
    EXPECT_TRUE(answer.ends_with("data: [DONE]\n\n")) << answer;
}

}  // namespace
}  // namespace shimmy::e2e

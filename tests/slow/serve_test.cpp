// shimmy serve with the official clients, a browser, and many clients for long.
#include "base/error.h"
#include "base/files.h"
#include "e2e/server_process.h"
#include "http/raw_requests.h"
#include "lab/http/http_client.h"
#include "lab/http/request.h"
#include "node_packages.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <sstream>
#include <thread>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace shimmy::e2e {
namespace {

using std::chrono::seconds;

std::string slow_file(const std::string & name) {
    return std::string(SHIMMY_SOURCE_DIR) + "/tests/slow/" + name;
}

TEST(SlowServe, TheOfficialClientsWork) {
    ServerProcess server({"--model", tiny_moe().string(), "--ollama-bind", "127.0.0.1:0"});
    ServerProcess with_tools({"--model", tiny_moe().string(), "--ollama-bind", "127.0.0.1:0", "--chat-template-file",
                              SHIMMY_LLAMA_DIR "/models/templates/mistralai-Mistral-Nemo-Instruct-2407.jinja"});
    const auto ollama = [](const ServerProcess & one) {
        return "http://" + one.started()["ollama_address"].get<std::string>();
    };
    const Json got = Json::parse(output_of({"node", slow_file("clients_check.mjs"), node_packages() + "/node_modules",
                                            "http://" + server.address(), ollama(server), "tiny-moe-f16",
                                            "http://" + with_tools.address(), ollama(with_tools)}),
                                 nullptr, /*allow_exceptions=*/false);
    ASSERT_TRUE(got.is_object());
    const std::string text = got["chat"];
    EXPECT_FALSE(text.empty());
    for (const char * same :
         {"streamed", "response", "message", "messageStreamed", "ollamaChat", "ollamaStreamed", "ollamaGenerated"})
        EXPECT_EQ(got[same], text) << same;
    EXPECT_EQ(got["usage"]["completion_tokens"], 24);
    for (const char * call : {"tool", "toolStreamed", "toolAnthropic", "toolOllama"})
        EXPECT_EQ(got[call]["name"], "get_weather") << got;
    const Json arguments = Json::parse(got["tool"]["arguments"].get<std::string>());
    EXPECT_TRUE(arguments["city"] == "Berlin" || arguments["city"] == "Paris") << arguments;
    EXPECT_EQ(Json::parse(got["toolStreamed"]["arguments"].get<std::string>()), arguments);
    EXPECT_EQ(got["toolAnthropic"]["input"], arguments);
    EXPECT_EQ(got["toolOllama"]["arguments"], arguments);
    EXPECT_TRUE(Json::parse(got["typed"].get<std::string>())["city"].is_string()) << got["typed"];
    EXPECT_EQ(got["error"], 404);
    EXPECT_GT(got["nTokens"], 10);
    EXPECT_EQ(got["models"], Json::array({"tiny-moe-f16"}));
    EXPECT_EQ(got["tags"], got["models"]);
    EXPECT_EQ(got["ollamaRunning"], got["models"]);
    EXPECT_EQ(got["ollamaFamily"], "deepseek");
    EXPECT_NE(got["ollamaError"].get<std::string>().find("there is no model 'nobody'"), std::string::npos);
}

// The process of a model, by the name on its command line or its open file.
pid_t process_of(const ServerProcess & server, const std::string & file) {
    const std::string parent = std::to_string(server.started()["pid"].get<int>());
    for (const auto & task : fs::directory_iterator("/proc/" + parent + "/task")) {
        std::istringstream children(read_file(task.path() / "children"));
        for (pid_t pid = 0; children >> pid;) {
            if (read_file(fmt::format("/proc/{}/cmdline", pid)).find(file) != std::string::npos) return pid;
        }
    }
    ADD_FAILURE() << "there is no process of " << file;
    return 0;
}

// A fault of one model's process costs exactly the streams that it computes, and every client's library says so.
TEST(SlowServe, OfficialClientsUnderstandThatAModelDied) {
    ServerProcess server({"--model", tiny_moe().string(), "--model", tiny_moe("Q8_0").string(), "--ollama-bind",
                          "127.0.0.1:0", "--parallel", "16"});
    const Json got = Json::parse(
        output_of({"node", slow_file("death_check.mjs"), node_packages() + "/node_modules",
                   "http://" + server.address(), "http://" + server.started()["ollama_address"].get<std::string>(),
                   "tiny-moe-f16", "tiny-moe-q8-0", std::to_string(process_of(server, "tiny-moe-f16"))}),
        nullptr, /*allow_exceptions=*/false);
    ASSERT_TRUE(got.is_object());
    EXPECT_EQ(got["running"], 16);
    ASSERT_EQ(got["streams"].size(), 16U);
    const std::map<std::string, std::string> errors{
        {"chat", "APIError"}, {"responses", "APIError"}, {"messages", "APIError"}, {"ollama", "Error"}};
    for (const Json & stream : got["streams"]) {
        EXPECT_EQ(stream["ended"], false) << stream;
        EXPECT_EQ(stream["error"], errors.at(stream["client"])) << stream;
        EXPECT_NE(stream["message"].get<std::string>().find("its process ended by SIGSEGV"), std::string::npos)
            << stream;
        if (stream["client"] == "messages") {
            EXPECT_EQ(stream["type"], "overloaded_error") << stream;
        }
    }
    for (const Json & stream : got["others"])
        EXPECT_EQ(stream["ended"], true) << stream;
    EXPECT_EQ(got["again"], 1) << "the next request loads it again";
    EXPECT_EQ(server.curl("/api/models/tiny-moe-f16/status").json()["n_loads"], 2);
    EXPECT_EQ(server.curl("/api/models/tiny-moe-q8-0/status").json()["n_loads"], 1);
}

// Node.js' parser says the same of every request, or there is a reason.
TEST(SlowServe, LlhttpReadsRequestsAsWeDo) {
    const Json verdicts =
        Json::parse(output_of({"node", slow_file("llhttp_check.mjs"), node_packages() + "/node_modules",
                               std::string(SHIMMY_SOURCE_DIR) + "/tests/http/requests.json"}),
                    nullptr, /*allow_exceptions=*/false);
    const std::vector<RawRequest> requests = raw_requests(SHIMMY_SOURCE_DIR);
    ASSERT_EQ(verdicts.size(), requests.size());
    size_t n_differ = 0;
    for (size_t i = 0; i < requests.size(); ++i) {
        const bool accepted = verdicts[i]["error"] == 0 && verdicts[i]["messages"] == requests[i].n_messages;
        const bool same = accepted == requests[i].accepted;
        EXPECT_EQ(same, requests[i].differs.empty()) << requests[i].name << ": " << verdicts[i];
        n_differ += same ? 0 : 1;
    }
    EXPECT_LT(n_differ, requests.size() / 8);
}

// What each of 64 clients gets at once is what it gets alone.
TEST(SlowServe, ManyStreamsDoNotMixUp) {
    constexpr int N_AT_ONCE = 64;
    ServerProcess server({"--model", tiny_moe().string(), "--parallel", "16", "--ctx", "256"});
    const engine::SamplingOptions greedy{0.0F};
    const auto prompt = [](int i) { return fmt::format("{} plus {}?", i % 8, i % 7); };
    std::map<std::string, std::string> alone;
    lab::HttpClient client("http://" + server.address());
    for (int i = 0; i < N_AT_ONCE; ++i) {
        if (!alone.contains(prompt(i)))
            alone[prompt(i)] =
                client.post("/v1/chat/completions", lab::make_request(true, prompt(i), 24, greedy, true).body)
                    .events.text();
    }
    std::vector<std::string> texts(N_AT_ONCE);
    std::vector<double> decode_ms(N_AT_ONCE);
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < N_AT_ONCE; ++i) {
            threads.emplace_back([&, i] {
                lab::HttpClient own("http://" + server.address());
                const lab::HttpAnswer answer =
                    own.post("/v1/chat/completions", lab::make_request(true, prompt(i), 24, greedy, true).body);
                EXPECT_EQ(answer.error, "");
                EXPECT_TRUE(answer.events.defects().empty());
                texts[i] = answer.events.text();
                decode_ms[i] = answer.total_ms - answer.ttft_ms;
            });
        }
    }
    int n_same = 0;
    for (int i = 0; i < N_AT_ONCE; ++i) {
        EXPECT_FALSE(texts[i].empty()) << i;
        n_same += texts[i] == alone[prompt(i)] ? 1 : 0;
    }
    // Those that are answered at once get on at the same pace.
    std::sort(decode_ms.begin(), decode_ms.end());
    EXPECT_LT(decode_ms.back(), 4.0 * decode_ms[N_AT_ONCE / 2]);
    // A batch of another size rounds differently, and now and then another token wins. Answers that were mixed up
    // would differ nearly all.
    EXPECT_GE(n_same, N_AT_ONCE * 8 / 10);
}

uint64_t rss_bytes(const ServerProcess & server) {
    const std::string status = read_file("/proc/" + std::to_string(server.started()["pid"].get<int>()) + "/status");
    return std::stoull(status.substr(status.find("VmRSS:") + 6)) * 1024;
}

// Connects, sends the beginning of a request, and drops the connection.
void connect_and_drop(int port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port));
    if (::connect(fd, reinterpret_cast<const sockaddr *>(&address), sizeof(address)) == 0) {
        constexpr std::string_view HALF =
            "POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{\"pro";
        (void)::send(fd, HALF.data(), HALF.size(), MSG_NOSIGNAL);
    }
    ::close(fd);
}

TEST(SlowServe, MemoryDoesNotGrowUnderLoad) {
    ServerProcess server({"--model", tiny_moe().string(), "--parallel", "8", "--ctx", "256"});
    const int port = std::stoi(server.address().substr(server.address().rfind(':') + 1));
    const auto load_for = [&](seconds duration) {
        const auto end = std::chrono::steady_clock::now() + duration;
        std::vector<std::jthread> threads;
        for (int i = 0; i < 16; ++i) {
            threads.emplace_back([&, i] {
                lab::HttpClient client("http://" + server.address());
                for (int n = 0; std::chrono::steady_clock::now() < end; ++n) {
                    const std::string prompt = fmt::format("Client {} asks for the {}th time.", i, n);
                    const lab::HttpAnswer answer =
                        client.post("/v1/chat/completions", lab::make_request(true, prompt, 16, {0.0F}, true).body);
                    EXPECT_EQ(answer.error, "");
                }
            });
        }
        for (int i = 0; i < 500; ++i)
            connect_and_drop(port);
    };
    load_for(seconds(120));  // until every cache is full
    const uint64_t before = rss_bytes(server);
    load_for(seconds(480));
    EXPECT_LT(rss_bytes(server), before + (before / 20)) << "from " << before;
    EXPECT_EQ(server.curl("/health").status, 200);
    EXPECT_EQ(server.process().stop(seconds(5)), 0);
}

}  // namespace
}  // namespace shimmy::e2e

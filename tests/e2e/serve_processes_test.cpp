// shimmy serve and the processes of its models: what dies, hangs or is ended costs what it was doing, and nothing else.
#include "base/files.h"
#include "lab/http/http_client.h"
#include "lab/http/request.h"
#include "server_process.h"
#include "temp_dir.h"

#include <httplib.h>

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <functional>
#include <sstream>
#include <thread>

namespace shimmy::e2e {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

constexpr int LONG_ANSWER = 400;  // tokens: nearly the whole context

// Processes whose parent is `parent`.
std::vector<pid_t> children_of(pid_t parent) {
    std::vector<pid_t> children;
    for (const auto & entry : fs::directory_iterator("/proc")) {
        std::ifstream file(entry.path() / "stat");
        std::string line;
        std::getline(file, line);
        const size_t end = line.rfind(')');  // of the program's name
        if (end == std::string::npos) continue;
        std::istringstream words(line.substr(end + 1));
        std::string state;
        pid_t ppid = 0;
        words >> state >> ppid;
        if (ppid == parent && state != "Z") children.push_back(std::stoi(entry.path().filename()));
    }
    return children;
}

bool wait_for(const std::function<bool()> & condition, milliseconds limit = minutes(1)) {
    for (const auto end = Clock::now() + limit; Clock::now() < end; std::this_thread::sleep_for(milliseconds(10))) {
        if (condition()) return true;
    }
    return false;
}

bool is_gone(pid_t pid) {
    return ::kill(pid, 0) != 0 && errno == ESRCH;
}

pid_t pid_of(const ServerProcess & server) {
    return server.started()["pid"].get<pid_t>();
}

Json endless_request() {
    Json body = lab::make_request(true, "Tell me a story.", LONG_ANSWER, engine::SamplingOptions{0.0F}, true).body;
    body["ignore_eos"] = true;
    return body;
}

int complete(const ServerProcess & server, const std::string & name = "") {
    return server.post("/v1/completions", {{"model", name}, {"prompt", "a"}, {"max_tokens", 2}}).status;
}

// A streamed answer that is read slowly enough to be there when something happens to the model.
struct StreamedAnswer {
    std::atomic<bool> begun = false;
    std::string body;
    int status = 0;
    std::jthread thread;
};

void start(StreamedAnswer & answer, const ServerProcess & server, const std::string & path, const Json & body) {
    answer.thread = std::jthread([&answer, address = server.address(), path, text = body.dump()] {
        httplib::Client client("http://" + address);
        client.set_read_timeout(60);
        const auto result =
            client.Post(path, httplib::Headers{}, text, "application/json", [&](const char * bytes, size_t n) {
                answer.body.append(bytes, n);
                answer.begun = true;
                return true;
            });
        if (result) answer.status = result->status;
    });
}

TEST(ServeProcesses, AFaultCostsExactlyTheStreamsOfItsModel) {
    constexpr int N_STREAMS = 16;
    ServerProcess server({"--model", tiny_moe().string(), "--parallel", "16"});
    const pid_t model = children_of(pid_of(server)).at(0);
    std::vector<StreamedAnswer> answers(N_STREAMS);
    for (StreamedAnswer & answer : answers)
        start(answer, server, "/v1/chat/completions", endless_request());
    for (StreamedAnswer & answer : answers)
        ASSERT_TRUE(wait_for([&] { return answer.begun.load(); }));
    ::kill(model, SIGSEGV);
    int n_cut = 0;
    for (StreamedAnswer & answer : answers) {
        answer.thread.join();
        EXPECT_EQ(answer.status, 200);
        const size_t last = answer.body.rfind("data: ");
        ASSERT_NE(last, std::string::npos);
        const std::string event = answer.body.substr(last + 6);
        if (event.starts_with("[DONE]")) continue;  // it was whole before
        ++n_cut;
        const Json document = Json::parse(event, nullptr, /*allow_exceptions=*/false);
        EXPECT_EQ(document["error"]["code"], 503) << event;
        EXPECT_NE(document["error"]["message"].get<std::string>().find("SIGSEGV"), std::string::npos) << event;
    }
    EXPECT_GT(n_cut, 0);
    EXPECT_EQ(server.curl("/health").status, 200);
    EXPECT_EQ(complete(server), 200) << "it is loaded again";
    EXPECT_NE(children_of(pid_of(server)).at(0), model);
    EXPECT_NE(server.process().err().find("tiny-moe-f16: its process ended by SIGSEGV"), std::string::npos);
}

// One answer's end and the next one's beginning meet in the model's process, where descriptors are used again at once:
// the end of one must not be taken for a client that left another.
TEST(ServeProcesses, ShortRequestsOneAfterAnotherAreAllAnswered) {
    constexpr int N_CLIENTS = 8;
    constexpr int N_REQUESTS = 300;  // of each
    ServerProcess server({"--model", tiny_moe().string(), "--parallel", "4"});
    std::atomic<int> n_failed = 0;
    std::vector<std::jthread> clients;
    for (int i = 0; i < N_CLIENTS; ++i) {
        clients.emplace_back([&] {
            httplib::Client client("http://" + server.address());
            client.set_keep_alive(true);
            client.set_read_timeout(60);
            for (int k = 0; k < N_REQUESTS; ++k) {
                const auto result =
                    client.Post("/v1/completions", R"({"prompt": "a", "max_tokens": 1})", "application/json");
                if (!result || result->status != 200) ++n_failed;
            }
        });
    }
    clients.clear();
    EXPECT_EQ(n_failed, 0) << server.process().err();
}

TEST(ServeProcesses, EachApiSaysInItsOwnFormThatAStreamIsLost) {
    ServerProcess server({"--model", tiny_moe().string(), "--ollama-bind", "127.0.0.1:0", "--parallel", "4"});
    Json messages = endless_request();
    Json generate{{"prompt", "Hello"}, {"max_tokens", LONG_ANSWER}};
    StreamedAnswer anthropic;
    StreamedAnswer own;
    start(anthropic, server, "/v1/messages", messages);
    start(own, server, "/api/generate", generate);
    ASSERT_TRUE(wait_for([&] { return anthropic.begun && own.begun; }));
    ::kill(children_of(pid_of(server)).at(0), SIGABRT);
    anthropic.thread.join();
    own.thread.join();
    const auto ends_well = [](const StreamedAnswer & answer) {
        return answer.body.find("message_stop") != std::string::npos || answer.body.find("[DONE]") != std::string::npos;
    };
    if (!ends_well(anthropic)) {
        const std::string event = anthropic.body.substr(anthropic.body.rfind("event: "));
        ASSERT_TRUE(event.starts_with("event: error\ndata: {")) << event;
        const Json document = Json::parse(event.substr(event.find('{')));
        EXPECT_EQ(document["type"], "error");
        EXPECT_EQ(document["error"]["type"], "overloaded_error");
    }
    if (!ends_well(own)) {
        EXPECT_NE(own.body.find("event: error\ndata: {"), std::string::npos) << own.body;
    }
    EXPECT_FALSE(ends_well(anthropic) && ends_well(own)) << "both were whole before: nothing was tested";
}

TEST(ServeProcesses, OtherModelsGoOn) {
    ServerProcess server({"--model", tiny_moe().string(), "--model", tiny_moe("Q8_0").string()});
    const std::vector<pid_t> models = children_of(pid_of(server));
    ASSERT_EQ(models.size(), 2U);
    ::kill(models[0], SIGKILL);
    ASSERT_TRUE(wait_for([&] { return is_gone(models[0]); }));
    EXPECT_FALSE(is_gone(models[1]));
    for (const char * name : {"tiny-moe-f16", "tiny-moe-q8-0"})
        EXPECT_EQ(complete(server, name), 200) << name;
    EXPECT_FALSE(is_gone(models[1]));
}

TEST(ServeProcesses, OneThatKeepsDyingIsTriedLaterAndLater) {
    ServerProcess server({"--model", tiny_moe().string(), "--model", tiny_moe("Q8_0").string()});
    const auto kill_first = [&] {
        const auto status = [&] { return server.curl("/api/models/tiny-moe-f16/status").json(); };
        for (const pid_t pid : children_of(pid_of(server))) {
            if (read_file(fmt::format("/proc/{}/cmdline", pid)).find("tiny-moe-f16") == std::string::npos) continue;
            ::kill(pid, SIGKILL);
        }
        return wait_for([&] { return status()["state"] == "unloaded"; });
    };
    ASSERT_TRUE(kill_first());
    EXPECT_EQ(complete(server, "tiny-moe-f16"), 200) << "at once after the first";
    ASSERT_TRUE(kill_first());
    const HttpReply refused =
        server.curl("/v1/completions", {"-i", "-d", R"({"model": "tiny-moe-f16", "prompt": "a", "max_tokens": 1})"});
    EXPECT_EQ(refused.status, 503) << refused.body;
    EXPECT_NE(refused.body.find("Retry-After: 1"), std::string::npos) << refused.body;
    EXPECT_NE(refused.body.find("2 times in a row"), std::string::npos) << refused.body;
    EXPECT_EQ(complete(server, "tiny-moe-q8-0"), 200);
    EXPECT_TRUE(wait_for([&] { return complete(server, "tiny-moe-f16") == 200; }));
}

TEST(ServeProcesses, OneThatHangsIsEndedAndItsRequestsToldSo) {
    ServerProcess server({"--model", tiny_moe().string(), "--stall-seconds", "2"});
    const pid_t model = children_of(pid_of(server)).at(0);
    ::kill(model, SIGSTOP);
    const HttpReply reply = server.post("/v1/completions", {{"prompt", "a"}, {"max_tokens", 2}});
    EXPECT_EQ(reply.status, 503) << reply.body;
    EXPECT_NE(reply.body.find("no sign of life for 2 s"), std::string::npos) << reply.body;
    EXPECT_TRUE(is_gone(model));
    EXPECT_EQ(complete(server), 200);
}

TEST(ServeProcesses, NoneOutlivesTheServer) {
    ServerProcess server({"--model", tiny_moe().string(), "--model", tiny_moe("Q8_0").string()});
    const std::vector<pid_t> models = children_of(pid_of(server));
    ASSERT_EQ(models.size(), 2U);
    ::kill(models[0], SIGSTOP);  // not even one that cannot see that the server is gone
    ::kill(pid_of(server), SIGKILL);
    for (const pid_t model : models)
        EXPECT_TRUE(wait_for([&] { return is_gone(model); })) << model;
}

void write_over(const fs::path & file, const std::string & content) {
    std::ofstream(file, std::ios::binary | std::ios::in | std::ios::out) << content;
}

TEST(ServeProcesses, AFileThatShrinksCostsRequestsUntilItIsWholeAgain) {
    const TempDir dir;
    const fs::path file = dir.path() / "shrinks.gguf";
    fs::copy_file(tiny_moe("Q8_0"), file);
    const std::string content = read_file(file);
    ServerProcess server({"--model", file.string(), "--model", tiny_moe().string()});
    const std::vector<pid_t> processes = children_of(pid_of(server));
    const auto ask = [&] {
        return server.post("/v1/completions",
                           {{"model", "shrinks"}, {"prompt", "a b c"}, {"max_tokens", 8}, {"temperature", 0}});
    };
    const HttpReply whole = ask();
    EXPECT_EQ(whole.status, 200) << whole.body;
    fs::resize_file(file, 4096);
    for (int i = 0; i < 2; ++i) {
        const HttpReply reply = ask();
        EXPECT_EQ(reply.status, 503) << reply.body;
        EXPECT_NE(reply.body.find("shrinks.gguf: became shorter while it is in use (4096 of "), std::string::npos)
            << reply.body;
    }
    EXPECT_EQ(complete(server, "tiny-moe-f16"), 200);
    write_over(file, content);
    EXPECT_EQ(ask().json()["choices"], whole.json()["choices"]);
    EXPECT_EQ(children_of(pid_of(server)), processes);
}

// By its last byte, in the middle of answers: its page stays, so that nothing could end the process anyway.
TEST(ServeProcesses, AFileThatShrinksWhileItIsReadEndsAnswersWithAReason) {
    const TempDir dir;
    const fs::path file = dir.path() / "shrinks.gguf";
    fs::copy_file(tiny_moe(), file);
    const std::string content = read_file(file);
    ServerProcess server({"--model", file.string(), "--parallel", "2"});
    const std::vector<pid_t> processes = children_of(pid_of(server));
    std::vector<StreamedAnswer> answers(2);
    for (StreamedAnswer & answer : answers)
        start(answer, server, "/v1/chat/completions", endless_request());
    for (StreamedAnswer & answer : answers)
        ASSERT_TRUE(wait_for([&] { return answer.begun.load(); }));
    fs::resize_file(file, content.size() - 1);
    int n_cut = 0;
    for (StreamedAnswer & answer : answers) {
        answer.thread.join();
        const size_t last = answer.body.rfind("data: ");
        ASSERT_NE(last, std::string::npos);
        const std::string event = answer.body.substr(last + 6);
        if (event.starts_with("[DONE]")) continue;  // it was whole before
        ++n_cut;
        const std::string message = Json::parse(event, nullptr, /*allow_exceptions=*/false)["error"]["message"];
        EXPECT_NE(message.find("Compute error. "), std::string::npos) << event;
        EXPECT_NE(message.find("shrinks.gguf became shorter while it is in use"), std::string::npos) << event;
    }
    EXPECT_GT(n_cut, 0);
    write_over(file, content);
    EXPECT_EQ(complete(server), 200);
    EXPECT_EQ(children_of(pid_of(server)), processes);
}

// The last net: nobody saw it before a page was gone.
TEST(ServeProcesses, APageThatIsGoneIsSaid) {
    ServerProcess server({"--model", tiny_moe().string()});
    StreamedAnswer answer;
    start(answer, server, "/v1/chat/completions", endless_request());
    ASSERT_TRUE(wait_for([&] { return answer.begun.load(); }));
    ::kill(children_of(pid_of(server)).at(0), SIGBUS);
    answer.thread.join();
    EXPECT_NE(answer.body.find("ended by SIGBUS: a mapped file became shorter, or its disk failed"), std::string::npos)
        << answer.body;
    EXPECT_EQ(complete(server), 200) << "it is loaded again";
}

// OpenMP keeps a team for every thread that has computed. With several, all wait asleep, and tokens take many times as
// long: measuring speculation, loading and log-probabilities of a prompt must leave none behind.
TEST(ServeProcesses, OneTeamOfThreadsComputes) {
    const auto options = [](const char * n_threads) {
        return std::vector<std::string>{"--model",   tiny_moe().string(), "--device", "cpu",  "--gpu-backend", "cpu",
                                        "--threads", n_threads,           "--spec",   "auto", "--parallel",    "1"};
    };
    const ServerProcess alone(options("1")), team(options("4"));
    for (const ServerProcess * server : {&alone, &team}) {
        EXPECT_EQ(server->post("/v1/completions", {{"prompt", "a"}, {"max_tokens", 4}}).status, 200);
        const Json scored{{"prompt", "a b c"}, {"max_tokens", 0}, {"echo", true}, {"logprobs", 1}};
        EXPECT_EQ(server->post("/v1/completions", scored).status, 200);
    }
    const auto n_threads = [](const ServerProcess & server) {
        const fs::path threads = fmt::format("/proc/{}/task", children_of(pid_of(server)).at(0));
        return std::distance(fs::directory_iterator(threads), {});
    };
    EXPECT_TRUE(wait_for([&] { return n_threads(team) <= n_threads(alone) + 3; }))
        << n_threads(team) << " with four threads, " << n_threads(alone) << " with one";
}

TEST(ServeEnd, RunningAnswersAreFinishedAndNewOnesRefused) {
    ServerProcess server({"--model", tiny_moe().string(), "--parallel", "2"});
    httplib::Client kept("http://" + server.address());
    kept.set_keep_alive(true);
    ASSERT_TRUE(kept.Get("/health"));
    StreamedAnswer answer;
    start(answer, server, "/v1/chat/completions", endless_request());
    ASSERT_TRUE(wait_for([&] { return answer.begun.load(); }));
    ::kill(pid_of(server), SIGTERM);
    const auto refused = [&] {
        const auto result = kept.Get("/health");
        return !result || result->status == 503;
    };
    EXPECT_TRUE(wait_for(refused));
    EXPECT_EQ(server.process().stop(minutes(1)), 0);
    answer.thread.join();
    EXPECT_TRUE(answer.body.ends_with("data: [DONE]\n\n")) << answer.body;
}

TEST(ServeEnd, WhatDoesNotFinishInTimeEndsWithAnError) {
    ServerProcess server({"--model", tiny_moe().string(), "--drain-seconds", "0"});
    const pid_t model = children_of(pid_of(server)).at(0);
    StreamedAnswer answer;
    start(answer, server, "/v1/chat/completions", endless_request());
    ASSERT_TRUE(wait_for([&] { return answer.begun.load(); }));
    ::kill(model, SIGSTOP);  // so that it cannot finish, and does not end by itself
    EXPECT_EQ(server.process().stop(minutes(1)), 0);
    answer.thread.join();
    EXPECT_NE(answer.body.find("the server is shutting down"), std::string::npos) << answer.body;
    EXPECT_TRUE(is_gone(model));
}

TEST(ServeEnd, AClientThatSendsForEverDoesNotHoldItUp) {
    ServerProcess server({"--model", tiny_moe().string(), "--drain-seconds", "0"});
    const std::string port = server.address().substr(server.address().rfind(':') + 1);
    ChildProcess client(
        {"bash", "-c",
         "trap '' PIPE; exec 3<>/dev/tcp/127.0.0.1/" + port +
             "; printf 'POST /tokenize HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 1000000\\r\\n\\r\\n' >&3; "
             "echo sent; while printf ' ' >&3 2>/dev/null; do sleep 1; done; echo cut"});
    ASSERT_EQ(client.read_line(minutes(1)), "sent");
    EXPECT_EQ(server.process().stop(minutes(1)), 0);
    EXPECT_EQ(client.read_line(minutes(1)), "cut");
}

TEST(ServeUpdate, ModelsAreLoadedAfterTheProgramWasReplaced) {
    const TempDir dir;
    const fs::path program = dir.path() / "shimmy";
    fs::copy_file(SHIMMY_PROGRAM, program);
    for (const auto & entry : fs::directory_iterator(fs::path(SHIMMY_PROGRAM).parent_path())) {
        if (entry.path().filename().string().starts_with("lib"))
            fs::create_symlink(entry.path(), dir.path() / entry.path().filename());
    }
    ChildProcess server({program.string(), "serve", "--model", tiny_moe().string(), "--device", "cpu", "--ctx", "512",
                         "--bind", "127.0.0.1:0", "--json"});
    const Json started = Json::parse(server.read_line(minutes(1)).value_or("null"));
    ASSERT_TRUE(started.is_object()) << server.err();
    fs::remove(program);
    httplib::Client client("http://" + started["address"].get<std::string>());
    client.set_read_timeout(60);
    const auto unloaded = client.Post("/api/models/tiny-moe-f16/unload");
    ASSERT_TRUE(unloaded && unloaded->status == 200);
    const auto result = client.Post("/v1/completions", R"({"prompt": "a", "max_tokens": 2})", "application/json");
    ASSERT_TRUE(result);
    EXPECT_EQ(result->status, 200) << result->body;
    EXPECT_EQ(server.stop(minutes(1)), 0);
}

TEST(ServeStderr, ThatCannotBeWrittenEndsNothing) {
    const std::string command =
        fmt::format("exec {} serve --model {} --device cpu --ctx 512 --bind 127.0.0.1:0 --json -v 2>/dev/full",
                    SHIMMY_PROGRAM, tiny_moe().string());
    ChildProcess server({"bash", "-c", command});
    const Json started = Json::parse(server.read_line(minutes(1)).value_or("null"));
    ASSERT_TRUE(started.is_object());
    httplib::Client client("http://" + started["address"].get<std::string>());
    for (int i = 0; i < 2; ++i) {
        const auto result = client.Post("/v1/completions", R"({"prompt": "a", "max_tokens": 2})", "application/json");
        ASSERT_TRUE(result);
        EXPECT_EQ(result->status, 200) << result->body;
    }
    EXPECT_EQ(server.stop(minutes(1)), 0);
}

TEST(ServeStderr, ThatNobodyReadsBlocksNothing) {
    // A pipe that the server itself holds open, and nobody reads.
    const TempDir dir;
    const std::string pipe = (dir.path() / "stderr").string();
    const std::string command = fmt::format(
        "mkfifo {0}; exec 2<>{0}; exec {1} serve --model {2} --device cpu --ctx 512 --bind 127.0.0.1:0 --json -vv",
        pipe, SHIMMY_PROGRAM, tiny_moe().string());
    ChildProcess server({"bash", "-c", command});
    const Json started = Json::parse(server.read_line(minutes(1)).value_or("null"));
    ASSERT_TRUE(started.is_object());
    httplib::Client client("http://" + started["address"].get<std::string>());
    client.set_read_timeout(60);
    for (int i = 0; i < 200; ++i) {
        const auto result = client.Post("/v1/completions", R"({"prompt": "a", "max_tokens": 1})", "application/json");
        ASSERT_TRUE(result) << i;
        EXPECT_EQ(result->status, 200) << result->body;
    }
    EXPECT_EQ(server.stop(minutes(1)), 0);
}

}  // namespace
}  // namespace shimmy::e2e

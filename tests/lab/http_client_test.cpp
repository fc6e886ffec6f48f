// The client that load tests and HTTP runs measure with, against a server whose answers the test writes.
#include "lab/http/http_client.h"

#include "base/error.h"
#include "lab/http/load_test.h"
#include "local_server.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>

namespace shimmy::lab {
namespace {

using std::chrono::milliseconds;

std::string event(const std::string & text) {
    return "data: " + Json{{"choices", {{{"delta", {{"content", text}}}}}}}.dump() + "\n\n";
}

std::string end_of_stream(int n_tokens) {
    return "data: " +
           Json{{"choices", {{{"delta", Json::object()}, {"finish_reason", "stop"}}}},
                {"usage", {{"completion_tokens", n_tokens}}}}
               .dump() +
           "\n\ndata: [DONE]\n\n";
}

void answer_stream(httplib::Response & response, const std::string & stream) {
    response.set_content(stream, "text/event-stream");
}

const Json STREAMED{{"stream", true}, {"prompt", "x"}};
const Json WHOLE{{"stream", false}, {"prompt", "x"}};

TEST(HttpClientOf, AStreamHasTheTimesOfItsEvents) {
    const LocalServer server([](const auto &, httplib::Response & response) {
        answer_in_pieces(response, {event("a"), event("b") + event("c") + end_of_stream(3)}, milliseconds(60));
    });
    HttpClient client(server.url());
    const HttpAnswer answer = client.post("/v1/chat/completions", STREAMED);
    EXPECT_EQ(answer.error, "");
    EXPECT_FALSE(answer.stopped);
    EXPECT_EQ(answer.events.text(), "abc");
    const std::vector<double> & times = answer.events.text_ms();
    ASSERT_EQ(times.size(), 3U);
    EXPECT_EQ(answer.ttft_ms, times[0]);
    EXPECT_GE(times[1] - times[0], 50.0);
    EXPECT_EQ(times[2], times[1]) << "they came together";
    EXPECT_GE(answer.total_ms, times[2]);
    const auto requests = server.requests();
    ASSERT_EQ(requests.size(), 1U);
    EXPECT_EQ(requests[0].path, "/v1/chat/completions");
    EXPECT_EQ(requests[0].header("Content-Type"), "application/json");
    EXPECT_EQ(Json::parse(requests[0].body), STREAMED);
}

TEST(HttpClientOf, AWholeAnswersFirstTokenIsItsLast) {
    const Json document{{"choices", {{{"text", "a"}, {"finish_reason", "stop"}}}}};
    const LocalServer server([&](const auto &, httplib::Response & response) { answer_json(response, document); });
    HttpClient client(server.url());
    const HttpAnswer answer = client.post("/v1/completions", WHOLE);
    EXPECT_EQ(answer.error, "");
    EXPECT_EQ(answer.document, document);
    EXPECT_GT(answer.total_ms, 0.0);
    EXPECT_EQ(answer.ttft_ms, answer.total_ms);
    EXPECT_EQ(answer.events.n_events(), 0);
}

TEST(HttpClientOf, WhatIsNoAnswerIsSaid) {
    std::map<std::string, std::function<void(httplib::Response &)>> answers{
        {"/told",
         [](auto & r) {
             answer_json(r, {{"error", {{"message", "full"}}}}, 503);
         }},
        {"/untold",
         [](auto & r) {
             answer_json(r, {{"error", {{"message", 3}}}}, 500);
         }},
        {"/html", [](auto & r) { r.status = 404, r.set_content("<html>", "text/html"); }},
        {"/created",
         [](auto & r) {
             answer_json(r, {{"choices", {{{"text", "a"}}}}}, 201);
         }},
        {"/list", [](auto & r) { answer_json(r, Json::array()); }},
        {"/no-choice",
         [](auto & r) {
             answer_json(r, {{"choices", Json::array()}});
         }},
        {"/empty", [](auto & r) { answer_stream(r, "data: [DONE]\n\n"); }},
        {"/nothing",
         [](auto & r) { answer_stream(r, "data: {\"usage\": {\"completion_tokens\": 0}}\n\ndata: [DONE]\n\n"); }},
        {"/no-text", [](auto & r) { answer_stream(r, end_of_stream(0)); }}};
    const LocalServer server([&](const auto & request, httplib::Response & r) { answers.at(request.path)(r); });
    HttpClient client(server.url());
    EXPECT_EQ(client.post("/told", WHOLE).error, "HTTP 503: full");
    EXPECT_EQ(client.post("/told", STREAMED).error, "HTTP 503: full");
    EXPECT_EQ(client.post("/told", STREAMED).events.n_events(), 0) << "an error is no event";
    EXPECT_EQ(client.post("/untold", WHOLE).error, "HTTP 500");
    EXPECT_EQ(client.post("/html", WHOLE).error, "HTTP 404");
    EXPECT_EQ(client.post("/created", WHOLE).error, "HTTP 201");
    EXPECT_EQ(client.post("/list", WHOLE).error, "the answer has no choice");
    EXPECT_EQ(client.post("/no-choice", WHOLE).error, "the answer has no choice");
    EXPECT_EQ(client.post("/empty", STREAMED).error, "no usage.completion_tokens");
    EXPECT_EQ(client.post("/nothing", STREAMED).error, "the stream held no text");
    const HttpAnswer no_text = client.post("/no-text", STREAMED);
    EXPECT_EQ(no_text.error, "") << "an answer of no tokens is one";
    EXPECT_EQ(no_text.ttft_ms, no_text.total_ms);
    EXPECT_THROW(client.get("/told"), Error);
    EXPECT_EQ(client.get("/list"), Json::array());
    EXPECT_EQ(client.post("/told", WHOLE).error, "HTTP 503: full") << "a GET leaves the connection usable";
    HttpClient nobody("http://127.0.0.1:1");
    EXPECT_NE(nobody.post("/x", WHOLE).error, "");
    EXPECT_THROW(nobody.get("/x"), Error);
}

TEST(HttpClientOf, AnAnswerCanBeStopped) {
    std::atomic<bool> stop{false};
    const LocalServer server([&](const auto &, httplib::Response & response) {
        std::vector<std::string> pieces(600, event("a"));
        answer_in_pieces(response, pieces, milliseconds(20));
    });
    HttpClient client(server.url());
    size_t n_asked = 0;
    const HttpAnswer answer = client.post("/", STREAMED, [&] { return ++n_asked > 3; });
    EXPECT_TRUE(answer.stopped);
    EXPECT_EQ(answer.error, "");
    EXPECT_LT(answer.events.text_ms().size(), 600U);
}

// --- load tests

LoadTestOptions options(const LocalServer & server, int n_clients, milliseconds duration) {
    LoadTestOptions load;
    load.url = server.url();
    load.n_clients = n_clients;
    load.duration = duration;
    load.ask.chat = false;
    for (const char * prompt : {"0", "1", "2"})
        load.talks.push_back({{prompt}});
    return load;
}

// Of ten gaps eight are none, as their events come together, and two are of at least 50 ms and 150 ms.
TEST(LoadTestOf, GapsAreBetweenNeighbours) {
    std::atomic<int> n_requests{0};
    const LocalServer server([&](const auto &, httplib::Response & response) {
        if (++n_requests > 1) {  // the client asks again until its time is over
            answer_in_pieces(response, {"", ""}, milliseconds(900));
            return;
        }
        std::string many;
        for (int i = 0; i < 9; ++i)
            many += event("b");
        answer_in_pieces(response, {event("a"), many, "", event("c") + end_of_stream(11)}, milliseconds(75));
    });
    const Json figures = run_load_test(options(server, 1, milliseconds(700)));
    EXPECT_EQ(figures["n_clients"], 1);
    EXPECT_EQ(figures["n_output_tokens"], 11);
    EXPECT_EQ(figures["n_requests"], 1) << "what is unfinished does not count";
    EXPECT_EQ(figures["n_failed_requests"], 0);
    EXPECT_TRUE(figures["first_failure"].is_null());
    EXPECT_EQ(figures["n_sse_defects"], 0);
    const Json & gap = figures["gap_ms"];
    EXPECT_EQ(gap["p50"], 0.0);
    EXPECT_GE(gap["p90"].get<double>(), 70.0);                      // at 8.1 of 0 … 0, 75, 150
    EXPECT_GT(gap["p99"].get<double>(), gap["p90"].get<double>());  // at 8.91
    const Json & ttft = figures["ttft_ms"];
    EXPECT_EQ(ttft["p50"], ttft["p99"]) << "of one answer";
    const double duration_ms = figures["duration_ms"];
    EXPECT_GE(duration_ms, 700.0);
    EXPECT_DOUBLE_EQ(figures["total_tps"].get<double>(), 11.0 * 1000.0 / duration_ms);
}

std::vector<std::string> prompts(const LocalServer & server) {
    std::vector<std::string> prompts;
    for (const auto & request : server.requests())
        prompts.push_back(Json::parse(request.body)["prompt"]);
    return prompts;
}

const std::string TWO_TOKENS = event("a") + event("b");

TEST(LoadTestOf, EachClientBeginsWithARequestOfItsOwn) {
    const LocalServer server([](const auto &, httplib::Response & response) {
        answer_in_pieces(response, {TWO_TOKENS, end_of_stream(2)}, milliseconds(700));
    });
    const Json figures = run_load_test(options(server, 3, milliseconds(400)));
    std::vector<std::string> asked = prompts(server);
    std::sort(asked.begin(), asked.end());
    EXPECT_EQ(asked, (std::vector<std::string>{"0", "1", "2"}));
    EXPECT_EQ(figures["n_requests"], 0) << "none has ended";
    EXPECT_EQ(figures["n_output_tokens"], 6) << "what came within the time counts";
}

TEST(LoadTestOf, AClientGoesOnInTurn) {
    std::atomic<int> n_requests{0};
    const LocalServer server([&](const auto &, httplib::Response & response) {
        const bool last = ++n_requests == 5;
        answer_in_pieces(response, {TWO_TOKENS, end_of_stream(2)}, milliseconds(last ? 900 : 0));
    });
    const Json figures = run_load_test(options(server, 1, milliseconds(500)));
    EXPECT_EQ(prompts(server), (std::vector<std::string>{"0", "1", "2", "0", "1"}));
    EXPECT_EQ(figures["n_requests"], 4);
    EXPECT_EQ(figures["n_output_tokens"], 10);
}

TEST(LoadTestOf, FailuresAreCountedAndTheFirstIsTold) {
    std::atomic<int> n_requests{0};
    const LocalServer server([&](const auto &, httplib::Response & response) {
        const int n = ++n_requests;
        if (n == 2) return answer_json(response, {{"error", {{"message", "full"}}}}, 503);
        if (n == 3) return answer_json(response, {{"error", {{"message", "fuller"}}}}, 503);
        if (n > 4) return answer_in_pieces(response, {"", ""}, milliseconds(1100));
        answer_in_pieces(response, {event("a") + event("b") + (n == 4 ? "data: [DONE]\n\n" : end_of_stream(2))},
                         milliseconds(0));
    });
    const Json figures = run_load_test(options(server, 1, milliseconds(1000)));
    EXPECT_EQ(figures["n_requests"], 4);
    EXPECT_EQ(figures["n_failed_requests"], 3) << "and the answer without an end";
    EXPECT_EQ(figures["first_failure"], "HTTP 503: full");
    EXPECT_EQ(figures["n_output_tokens"], 4);
    EXPECT_EQ(figures["n_sse_defects"], 1) << "the fourth has no usage";
}

TEST(LoadTestOf, ARefusingServerIsNotAskedThousandsOfTimes) {
    const LocalServer server([](const auto &, httplib::Response & response) {
        answer_json(response, {{"error", {{"message", "no"}}}}, 503);
    });
    try {
        run_load_test(options(server, 1, milliseconds(450)));
        ADD_FAILURE() << "figures of nothing";
    } catch (const Error & error) {
        EXPECT_EQ(std::string(error.what()),
                  "no answer brought two tokens within 450 ms (HTTP 503: no): measure for longer");
    }
    EXPECT_LE(server.requests().size(), 5U);
}

}  // namespace
}  // namespace shimmy::lab

// Load tests against a server whose answers the test writes: what is sent when, in which order, and what the figures
// say. Counts, orders and lower bounds of times are asserted; a busy machine only makes things later.
#include "lab/http/load_test.h"

#include "base/error.h"
#include "local_server.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <set>

namespace shimmy::lab {
namespace {

using std::chrono::milliseconds;

std::string text_event(const std::string & text) {
    return "data: " + Json{{"choices", {{{"delta", {{"content", text}}}}}}}.dump() + "\n\n";
}

std::string last_event(int n_tokens) {
    return "data: " +
           Json{{"choices", {{{"delta", Json::object()}, {"finish_reason", "stop"}}}},
                {"usage", {{"completion_tokens", n_tokens}, {"prompt_tokens", 7}}}}
               .dump() +
           "\n\ndata: [DONE]\n\n";
}

const std::string TWO = text_event("a") + text_event("b");

LoadTestOptions asking(const LocalServer & server, const std::vector<std::string> & prompts) {
    LoadTestOptions test;
    test.url = server.url();
    for (const std::string & prompt : prompts)
        test.talks.push_back({{prompt}});
    test.duration = milliseconds(400);
    return test;
}

std::vector<Json> bodies(const LocalServer & server) {
    std::vector<Json> result;
    for (const auto & request : server.requests())
        result.push_back(Json::parse(request.body));
    return result;
}

std::string last_said(const Json & body) {
    return body["messages"].back()["content"];
}

// --- open loop

TEST(OpenLoop, EveryPlannedRequestIsSentAndWaitedFor) {
    const LocalServer server([](const auto &, httplib::Response & response) {
        answer_in_pieces(response, {TWO, last_event(2)}, milliseconds(100));
    });
    LoadTestOptions test = asking(server, {"0", "1", "2"});
    test.rate = 50.0;
    test.n_requests = 7;
    test.n_clients = 16;
    const Json figures = run_load_test(test);
    EXPECT_EQ(figures["loop"], "open");
    EXPECT_EQ(figures["arrivals"], "constant");
    EXPECT_EQ(figures["n_planned"], 7);
    EXPECT_EQ(figures["n_requests"], 7);
    EXPECT_EQ(figures["n_failed_requests"], 0);
    EXPECT_EQ(figures["n_output_tokens"], 14);
    EXPECT_EQ(figures["n_prompt_tokens"], 49);
    EXPECT_GE(figures["max_in_flight"], 2) << "none waits for the one before it";
    EXPECT_GE(figures["duration_ms"], 6 * 20.0 + 100.0);
    std::multiset<std::string> asked;
    for (const Json & body : bodies(server))
        asked.insert(last_said(body));
    EXPECT_EQ(asked, (std::multiset<std::string>{"0", "0", "0", "1", "1", "2", "2"})) << "in turn";
}

// One request at a time, planned every 10 ms, takes 120 ms: the k-th is sent k x 110 ms late. A client that counts from
// when it sends would see 120 ms each time.
TEST(OpenLoop, LatencyCountsFromThePlannedArrival) {
    const LocalServer server([](const auto &, httplib::Response & response) {
        answer_in_pieces(response, {"", TWO + last_event(2)}, milliseconds(120));
    });
    LoadTestOptions test = asking(server, {"x"});
    test.rate = 100.0;
    test.n_requests = 5;
    test.n_clients = 1;
    const Json figures = run_load_test(test);
    EXPECT_EQ(figures["n_requests"], 5);
    EXPECT_EQ(figures["max_in_flight"], 1);
    EXPECT_GE(figures["send_delay_ms"]["p99"], 3.9 * 110.0) << "the last waited for four";
    EXPECT_GE(figures["ttft_ms"]["p50"], 120.0 + 2 * 110.0) << "the third of five";
    EXPECT_GE(figures["e2e_ms"]["p50"], 120.0 + 2 * 110.0);
}

TEST(OpenLoop, RequestsThatAreNotLateHaveNoDelayInThem) {
    const LocalServer server([](const auto &, httplib::Response & response) {
        answer_in_pieces(response, {TWO + last_event(2)}, milliseconds(0));
    });
    LoadTestOptions test = asking(server, {"x"});
    test.rate = 4.0;
    test.n_requests = 3;
    const Json figures = run_load_test(test);
    EXPECT_GE(figures["duration_ms"], 500.0);
    EXPECT_LT(figures["send_delay_ms"]["p50"], 250.0) << "each was over long before the next";
    EXPECT_GE(figures["send_delay_ms"]["p50"], 0.0) << "never before its time";
}

TEST(OpenLoop, ADurationPlansTheRequests) {
    const LocalServer server([](const auto &, httplib::Response & response) {
        answer_in_pieces(response, {TWO + last_event(2)}, milliseconds(0));
    });
    LoadTestOptions test = asking(server, {"x"});
    test.rate = 20.0;
    test.n_clients = 8;
    EXPECT_EQ(run_load_test(test)["n_planned"], 8) << "at 0, 50, … 350 ms of 400";
    test.arrivals = Arrivals::poisson;
    test.seed = 3;
    const Json first = run_load_test(test);
    EXPECT_EQ(first["arrivals"], "poisson");
    EXPECT_EQ(first["n_planned"], run_load_test(test)["n_planned"]) << "the same seed";
}

TEST(ArrivalsOf, ConstantAndPoisson) {
    EXPECT_EQ(arrival_times(Arrivals::constant, 4.0, 3, 1), (std::vector<double>{0.0, 250.0, 500.0}));
    constexpr size_t N = 20000;
    const std::vector<double> times = arrival_times(Arrivals::poisson, 10.0, N, 1);
    EXPECT_EQ(times.front(), 0.0);
    EXPECT_TRUE(std::is_sorted(times.begin(), times.end()));
    EXPECT_NEAR(times.back() / (N - 1), 100.0, 3.0) << "the mean distance";
    double sum_squares = 0.0;
    size_t n_below = 0;
    for (size_t i = 1; i < N; ++i) {
        const double gap = times[i] - times[i - 1];
        sum_squares += (gap - 100.0) * (gap - 100.0);
        if (gap < 100.0) ++n_below;
    }
    EXPECT_NEAR(std::sqrt(sum_squares / N), 100.0, 5.0) << "as large as the mean";
    EXPECT_NEAR(static_cast<double>(n_below) / N, 0.632, 0.02) << "1 - 1/e";
    EXPECT_EQ(arrival_times(Arrivals::poisson, 10.0, 5, 1), arrival_times(Arrivals::poisson, 10.0, 5, 1));
    EXPECT_NE(arrival_times(Arrivals::poisson, 10.0, 5, 1), arrival_times(Arrivals::poisson, 10.0, 5, 2));
}

// --- timeouts, limits

TEST(LoadTimeouts, AStreamWithoutEndIsAFailureAndItsTokensCount) {
    const LocalServer server([](const auto & request, httplib::Response & response) {
        if (request.body.find("endless") != std::string::npos)
            return answer_in_pieces(response, std::vector<std::string>(200, text_event("a")), milliseconds(20));
        answer_in_pieces(response, {TWO + last_event(2)}, milliseconds(0));
    });
    LoadTestOptions test = asking(server, {"endless", "short"});
    test.n_requests = 2;
    test.timeout = milliseconds(300);
    const Json figures = run_load_test(test);
    EXPECT_EQ(figures["n_requests"], 2);
    EXPECT_EQ(figures["n_failed_requests"], 1);
    EXPECT_EQ(figures["n_timed_out_requests"], 1);
    EXPECT_EQ(figures["first_failure"], "no end within 0.3 s");
    EXPECT_EQ(figures["n_sse_defects"], 0) << "what we cut off is not the server's fault";
    EXPECT_GT(figures["n_output_tokens"], 2);
    EXPECT_LT(figures["n_output_tokens"], 100);
    EXPECT_EQ(figures["e2e_ms"]["p50"], figures["e2e_ms"]["p99"]) << "of answers alone";
}

TEST(LoadTimeouts, SilenceEndsToo) {
    const LocalServer server([](const auto &, httplib::Response & response) {
        answer_in_pieces(response, {"", TWO + last_event(2)}, milliseconds(1000));
    });
    LoadTestOptions test = asking(server, {"x"});
    test.n_requests = 1;
    test.timeout = milliseconds(200);
    try {
        run_load_test(test);
        ADD_FAILURE() << "figures of nothing";
    } catch (const Error & error) {
        EXPECT_NE(std::string(error.what()).find("no end within 0.2 s"), std::string::npos) << error.what();
    }
}

RequestRecord record(double planned_ms, double sent_ms, std::vector<double> text_ms, uint64_t n_tokens) {
    RequestRecord result;
    result.planned_ms = planned_ms;
    result.sent_ms = sent_ms;
    result.end_ms = text_ms.empty() ? sent_ms : text_ms.back();
    result.text_ms = std::move(text_ms);
    result.n_output_tokens = n_tokens;
    return result;
}

// Worked out by hand: planned at 100, sent at 150, text at 200, 210 and 260, of 4 tokens.
TEST(LoadFigures, DefinitionsAreThoseOfVllm) {
    const RequestRecord one = record(100.0, 150.0, {200.0, 210.0, 260.0}, 4);
    EXPECT_EQ(ttft_of(one), 100.0);
    EXPECT_EQ(e2e_of(one), 160.0);
    EXPECT_EQ(tpot_of(one), 20.0) << "(160 - 100) / 3: tokens, not events";
    EXPECT_EQ(tpot_of(record(0, 0, {5.0}, 1)), std::nullopt);
    EXPECT_EQ(ttft_of(record(0, 0, {}, 0)), std::nullopt);
}

TEST(LoadFigures, GoodIsWithinEveryLimit) {
    const RequestRecord one = record(100.0, 150.0, {200.0, 210.0, 260.0}, 4);
    EXPECT_TRUE(is_good(one, {}));
    EXPECT_TRUE(is_good(one, {100.0, 20.0, 160.0})) << "at the limits";
    EXPECT_FALSE(is_good(one, {99.9, 20.0, 160.0}));
    EXPECT_FALSE(is_good(one, {100.0, 19.9, 160.0}));
    EXPECT_FALSE(is_good(one, {100.0, 20.0, 159.9}));
    EXPECT_TRUE(is_good(record(0, 0, {5.0}, 1), {10.0, 0.1, std::nullopt})) << "one token has no TPOT";
    RequestRecord failed = one;
    failed.error = "HTTP 503";
    EXPECT_FALSE(is_good(failed, {}));
    RequestRecord stopped = one;
    stopped.stopped = true;
    EXPECT_FALSE(is_good(stopped, {}));
}

TEST(LoadFigures, SumsOfGivenRecords) {
    LoadRun run;
    run.duration_ms = 2000.0;
    run.records = {record(0.0, 0.0, {100.0, 200.0}, 2), record(50.0, 50.0, {450.0, 460.0, 470.0}, 3),
                   record(500.0, 500.0, {600.0}, 1), record(600.0, 600.0, {}, 0)};
    run.records[1].turn = 1;
    run.records[2].stopped = true;
    run.records[3].error = "HTTP 500";
    LoadPlan plan;
    plan.n_clients = 2;
    const Json figures = load_figures(plan, run, {200.0, std::nullopt, std::nullopt});
    EXPECT_EQ(figures["n_requests"], 3) << "the stopped one is none";
    EXPECT_EQ(figures["n_failed_requests"], 1);
    EXPECT_EQ(figures["first_failure"], "HTTP 500");
    EXPECT_EQ(figures["n_output_tokens"], 6) << "but its token came";
    EXPECT_EQ(figures["total_tps"], 3.0);
    EXPECT_EQ(figures["requests_per_s"], 1.0) << "two answered in two seconds";
    EXPECT_EQ(figures["conversations_per_s"], 0.5) << "one of them was a second turn";
    EXPECT_EQ(figures["n_good_requests"], 1);
    EXPECT_EQ(figures["goodput_per_s"], 0.5);
    EXPECT_EQ(figures["limits"], (Json{{"ttft_ms", 200.0}}));
    EXPECT_EQ(figures["ttft_ms"]["p50"], 100.0) << "of 100, 400 and 100";
    EXPECT_EQ(figures["ttft_ms"]["mean"], 200.0);
    EXPECT_EQ(figures["tpot_ms"]["mean"], 55.0) << "100 and 10";
    EXPECT_EQ(figures["gap_ms"]["p50"], 10.0) << "of 100, 10 and 10";
    EXPECT_EQ(figures["e2e_ms"]["mean"], 310.0) << "200 and 420";
    EXPECT_EQ(figures["max_in_flight"], 2) << "the two that overlap; one begins when another ends";
    EXPECT_FALSE(figures.contains("send_delay_ms")) << "a closed loop sends when it can";
    EXPECT_FALSE(load_figures(plan, run, {}).contains("goodput_per_s"));
}

// --- conversations

TEST(Conversations, EachTurnIsSentWithAllBeforeIt) {
    std::atomic<int> n{0};
    const LocalServer server([&](const auto &, httplib::Response & response) {
        answer_in_pieces(response, {text_event("answer ") + text_event(std::to_string(++n)) + last_event(2)},
                         milliseconds(0));
    });
    LoadTestOptions test = asking(server, {});
    test.talks = {{{"first", "second", "third"}}};
    test.n_requests = 1;
    test.ask.system = "Be brief.";
    const Json figures = run_load_test(test);
    EXPECT_EQ(figures["n_requests"], 3);
    const std::vector<Json> sent = bodies(server);
    ASSERT_EQ(sent.size(), 3U);
    EXPECT_EQ(sent[0]["messages"].size(), 2U);
    EXPECT_EQ(sent[2]["messages"], (Json{{{"role", "system"}, {"content", "Be brief."}},
                                         {{"role", "user"}, {"content", "first"}},
                                         {{"role", "assistant"}, {"content", "answer 1"}},
                                         {{"role", "user"}, {"content", "second"}},
                                         {{"role", "assistant"}, {"content", "answer 2"}},
                                         {{"role", "user"}, {"content", "third"}}}));
}

TEST(Conversations, AFailureEndsOne) {
    std::atomic<int> n{0};
    const LocalServer server([&](const auto &, httplib::Response & response) {
        if (++n == 2) return answer_json(response, {{"error", {{"message", "no"}}}}, 500);
        answer_in_pieces(response, {TWO + last_event(2)}, milliseconds(0));
    });
    LoadTestOptions test = asking(server, {});
    test.talks = {{{"1a", "1b", "1c"}}, {{"2a", "2b"}}};
    test.n_requests = 2;
    const Json figures = run_load_test(test);
    EXPECT_EQ(figures["n_requests"], 4);
    EXPECT_EQ(figures["n_failed_requests"], 1);
    std::vector<std::string> said;
    for (const Json & body : bodies(server))
        said.push_back(last_said(body));
    EXPECT_EQ(said, (std::vector<std::string>{"1a", "1b", "2a", "2b"}));
}

TEST(Conversations, OfTextWithoutATemplate) {
    const LocalServer server([&](const auto &, httplib::Response & response) {
        answer_in_pieces(response, {TWO + last_event(2)}, milliseconds(0));
    });
    LoadTestOptions test = asking(server, {});
    test.talks = {{{"One.", "Two."}}};
    test.n_requests = 1;
    test.ask.chat = false;
    test.ask.system = "Before.";
    run_load_test(test);
    ASSERT_EQ(bodies(server).size(), 2U);
    EXPECT_EQ(server.requests()[0].path, "/v1/completions");
    EXPECT_EQ(bodies(server)[1]["prompt"], "Before.\nOne.ab\nTwo.");
}

TEST(RequestsTo, AnyServerHoldNothingOfLlamaCpp) {
    AskAs as;
    as.standard = true;
    as.served_model = "m";
    as.max_tokens = 9;
    Json body = session_of({{"x"}}, as).at(0).body;
    EXPECT_EQ(body["model"], "m");
    EXPECT_EQ(body["max_tokens"], 9);
    for (const char * key : {"top_k", "min_p", "repeat_penalty", "cache_prompt", "ignore_eos"})
        EXPECT_FALSE(body.contains(key)) << key;
    as.standard = false;
    as.ignore_eos = true;
    body = session_of({{"x"}, 5}, as).at(0).body;
    EXPECT_EQ(body["max_tokens"], 5) << "what the talk says comes first";
    EXPECT_EQ(body["ignore_eos"], true);
    EXPECT_EQ(body["cache_prompt"], false);
}

// --- traces and sweeps

TEST(TraceReplay, KeepsOrderAndDistances) {
    const LocalServer server([](const auto &, httplib::Response & response) {
        answer_in_pieces(response, {TWO + last_event(2)}, milliseconds(0));
    });
    LoadTestOptions test = asking(server, {});
    test.talks = {{{"a"}, 3, 0.0}, {{"b"}, 4, 150.0}, {{"c"}, 5, 300.0}};
    test.is_trace = true;
    test.n_clients = 4;
    const Json figures = run_load_test(test);
    EXPECT_EQ(figures["loop"], "trace");
    EXPECT_EQ(figures["n_planned"], 3);
    EXPECT_EQ(figures["n_requests"], 3);
    EXPECT_GE(figures["duration_ms"], 300.0);
    const std::vector<Json> sent = bodies(server);
    ASSERT_EQ(sent.size(), 3U);
    for (size_t i = 0; i < 3; ++i)
        EXPECT_EQ(sent[i]["max_tokens"], 3 + i);
}

TEST(Sweep, GoesFromWhatTheServerDoesToBeyondIt) {
    // One at a time: more load only makes a queue.
    std::mutex one;
    const LocalServer server([&](const auto &, httplib::Response & response) {
        const std::lock_guard lock(one);
        std::this_thread::sleep_for(milliseconds(20));
        response.set_content(TWO + last_event(2), "text/event-stream");
    });
    LoadTestOptions test = asking(server, {"x"});
    test.n_clients = 4;
    test.limits.ttft_ms = 100000.0;
    std::vector<size_t> seen;
    const Json sweep = run_sweep(test, [&](size_t done, size_t) { seen.push_back(done); });
    ASSERT_EQ(sweep["steps"].size(), 7U);
    EXPECT_EQ(sweep["steps"][0]["loop"], "closed");
    EXPECT_EQ(seen, (std::vector<size_t>{0, 1, 2, 3, 4, 5, 6, 7}));
    const double most = sweep["max_requests_per_s"];
    EXPECT_EQ(most, sweep["steps"][0]["requests_per_s"]);
    EXPECT_LE(most, 50.0) << "20 ms each";
    for (size_t i = 1; i < 7; ++i) {
        EXPECT_EQ(sweep["steps"][i]["loop"], "open");
        EXPECT_GT(sweep["steps"][i]["rate"], i == 1 ? 0.0 : sweep["steps"][i - 1]["rate"].get<double>());
    }
    EXPECT_DOUBLE_EQ(sweep["steps"][6]["rate"].get<double>(), 1.2 * most);
    EXPECT_GT(sweep["best_goodput_per_s"], 0.0);
    EXPECT_EQ(sweep["interrupted"], false);
}

}  // namespace
}  // namespace shimmy::lab

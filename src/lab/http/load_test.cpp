#include "lab/http/load_test.h"

#include "base/error.h"
#include "base/process/interrupt.h"
#include "lab/http/http_client.h"
#include "lab/measure/statistics.h"

#include <algorithm>
#include <thread>

namespace shimmy::lab {

namespace {

using Clock = std::chrono::steady_clock;

struct Tally {
    uint64_t n_requests = 0;  // finished ones
    uint64_t n_failed = 0;
    uint64_t n_events = 0;  // with text: one per token
    uint64_t n_sse_defects = 0;
    std::string first_failure;
    std::vector<double> ttft_ms;
    std::vector<double> gap_ms;

    void take(const HttpAnswer & answer);
    void add(const Tally & other);
};

void Tally::take(const HttpAnswer & answer) {
    const std::vector<double> & times = answer.events.text_ms();
    n_events += times.size();
    if (!times.empty()) ttft_ms.push_back(times.front());
    for (size_t i = 1; i < times.size(); ++i)
        gap_ms.push_back(times[i] - times[i - 1]);
    if (answer.stopped) return;
    ++n_requests;
    n_sse_defects += answer.events.defects().size();
    if (answer.error.empty()) return;
    ++n_failed;
    if (first_failure.empty()) first_failure = answer.error;
}

void Tally::add(const Tally & other) {
    n_requests += other.n_requests;
    n_failed += other.n_failed;
    n_events += other.n_events;
    n_sse_defects += other.n_sse_defects;
    if (first_failure.empty()) first_failure = other.first_failure;
    ttft_ms.insert(ttft_ms.end(), other.ttft_ms.begin(), other.ttft_ms.end());
    gap_ms.insert(gap_ms.end(), other.gap_ms.begin(), other.gap_ms.end());
}

Tally run_client(const LoadTestOptions & options, size_t client_index, Clock::time_point end) {
    const auto over = [&] { return Clock::now() >= end || interrupted(); };
    HttpClient client(options.url);
    Tally tally;
    for (size_t i = client_index; !over(); ++i) {
        const Request & request = options.requests[i % options.requests.size()];
        const HttpAnswer answer = client.post(request.path, request.body, over);
        tally.take(answer);
        // A server that refuses at once must not be asked thousands of times a second.
        if (!answer.error.empty()) std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return tally;
}

Json percentiles(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return {{"p50", quantile(values, 0.5)}, {"p90", quantile(values, 0.9)}, {"p99", quantile(values, 0.99)}};
}

}  // namespace

Json run_load_test(const LoadTestOptions & options) {
    std::vector<Tally> tallies(static_cast<size_t>(options.n_clients));
    const auto start = Clock::now();
    {
        std::vector<std::jthread> threads;
        for (size_t i = 0; i < tallies.size(); ++i)
            threads.emplace_back([&, i] { tallies[i] = run_client(options, i, start + options.duration); });
    }
    const double duration_ms = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
    check_interrupted();
    Tally all;
    for (const Tally & tally : tallies)
        all.add(tally);
    if (all.gap_ms.empty()) {
        fail("no answer brought two tokens within {} ms{}: measure for longer", options.duration.count(),
             all.first_failure.empty() ? "" : " (" + all.first_failure + ")");
    }
    return {{"n_clients", options.n_clients},
            {"duration_ms", duration_ms},
            {"n_requests", all.n_requests},
            {"n_failed_requests", all.n_failed},
            {"first_failure", all.first_failure.empty() ? Json(nullptr) : Json(all.first_failure)},
            {"n_output_tokens", all.n_events},
            {"total_tps", static_cast<double>(all.n_events) * 1000.0 / duration_ms},
            {"ttft_ms", percentiles(all.ttft_ms)},
            {"gap_ms", percentiles(all.gap_ms)},
            {"n_sse_defects", all.n_sse_defects}};
}

}  // namespace shimmy::lab

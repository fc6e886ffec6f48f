#include "lab/http/load_figures.h"

#include "lab/measure/statistics.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace shimmy::lab {

namespace {

// null for none.
Json distribution(std::vector<double> values) {
    if (values.empty()) return nullptr;
    std::sort(values.begin(), values.end());
    const double mean = std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
    return {{"mean", mean},
            {"p50", quantile(values, 0.5)},
            {"p90", quantile(values, 0.9)},
            {"p99", quantile(values, 0.99)}};
}

struct Sums {
    uint64_t n_requests = 0;  // finished ones
    uint64_t n_failed = 0;
    uint64_t n_timed_out = 0;
    uint64_t n_good = 0;
    uint64_t n_conversations = 0;  // whose first turn was answered
    uint64_t n_output_tokens = 0;
    uint64_t n_prompt_tokens = 0;  // of answered ones
    uint64_t n_sse_defects = 0;
    std::string first_failure;
    std::vector<double> ttft_ms, tpot_ms, e2e_ms, gap_ms, delay_ms;

    void add(const RequestRecord & record, const LatencyLimits & limits);
};

void Sums::add(const RequestRecord & record, const LatencyLimits & limits) {
    n_output_tokens += record.n_output_tokens;
    n_sse_defects += record.n_sse_defects;
    delay_ms.push_back(record.sent_ms - record.planned_ms);
    if (const auto ttft = ttft_of(record)) ttft_ms.push_back(*ttft);
    for (size_t i = 1; i < record.text_ms.size(); ++i)
        gap_ms.push_back(record.text_ms[i] - record.text_ms[i - 1]);
    if (record.stopped) return;
    ++n_requests;
    if (record.timed_out) ++n_timed_out;
    if (!record.answered()) {
        ++n_failed;
        if (first_failure.empty()) first_failure = record.error;
        return;
    }
    if (record.turn == 0) ++n_conversations;
    n_prompt_tokens += record.n_prompt_tokens;
    if (const auto tpot = tpot_of(record)) tpot_ms.push_back(*tpot);
    if (const auto e2e = e2e_of(record)) e2e_ms.push_back(*e2e);
    if (is_good(record, limits)) ++n_good;
}

Json limits_json(const LatencyLimits & limits) {
    Json json = Json::object();
    if (limits.ttft_ms) json["ttft_ms"] = *limits.ttft_ms;
    if (limits.tpot_ms) json["tpot_ms"] = *limits.tpot_ms;
    if (limits.e2e_ms) json["e2e_ms"] = *limits.e2e_ms;
    return json;
}

}  // namespace

std::optional<double> ttft_of(const RequestRecord & record) {
    if (record.text_ms.empty()) return std::nullopt;
    return record.text_ms.front() - record.planned_ms;
}

std::optional<double> e2e_of(const RequestRecord & record) {
    if (record.text_ms.empty()) return std::nullopt;
    return record.text_ms.back() - record.planned_ms;
}

std::optional<double> tpot_of(const RequestRecord & record) {
    if (record.text_ms.empty() || record.n_output_tokens < 2) return std::nullopt;
    return (record.text_ms.back() - record.text_ms.front()) / static_cast<double>(record.n_output_tokens - 1);
}

bool is_good(const RequestRecord & record, const LatencyLimits & limits) {
    const auto within = [](std::optional<double> value, std::optional<double> limit) {
        return !limit || !value || *value <= *limit;
    };
    return record.answered() && within(ttft_of(record), limits.ttft_ms) && within(tpot_of(record), limits.tpot_ms) &&
           within(e2e_of(record), limits.e2e_ms);
}

size_t max_in_flight(const std::vector<RequestRecord> & records) {
    std::vector<std::pair<double, int>> changes;
    for (const RequestRecord & record : records) {
        changes.emplace_back(record.sent_ms, 1);
        changes.emplace_back(record.end_ms, -1);  // of equal times an end comes first
    }
    std::sort(changes.begin(), changes.end());
    int n = 0;
    int most = 0;
    for (const auto & [ms, change] : changes)
        most = std::max(most, n += change);
    return static_cast<size_t>(most);
}

Json load_figures(const LoadPlan & plan, const LoadRun & run, const LatencyLimits & limits) {
    Sums sums;
    for (const RequestRecord & record : run.records)
        sums.add(record, limits);
    const auto per_second = [&](uint64_t n) { return static_cast<double>(n) * 1000.0 / run.duration_ms; };
    const uint64_t n_answered = sums.n_requests - sums.n_failed;
    Json json{{"n_clients", plan.n_clients},
              {"duration_ms", run.duration_ms},
              {"n_requests", sums.n_requests},
              {"n_failed_requests", sums.n_failed},
              {"n_timed_out_requests", sums.n_timed_out},
              {"first_failure", sums.first_failure.empty() ? Json(nullptr) : Json(sums.first_failure)},
              {"n_output_tokens", sums.n_output_tokens},
              {"n_prompt_tokens", sums.n_prompt_tokens},
              {"total_tps", per_second(sums.n_output_tokens)},
              {"requests_per_s", per_second(n_answered)},
              {"conversations_per_s", per_second(sums.n_conversations)},
              {"ttft_ms", distribution(sums.ttft_ms)},
              {"tpot_ms", distribution(sums.tpot_ms)},
              {"gap_ms", distribution(sums.gap_ms)},
              {"e2e_ms", distribution(sums.e2e_ms)},
              {"n_sse_defects", sums.n_sse_defects},
              {"max_in_flight", max_in_flight(run.records)},
              {"interrupted", run.interrupted}};
    if (plan.is_open()) {
        json["n_planned"] = plan.arrivals_ms.size();
        json["send_delay_ms"] = distribution(sums.delay_ms);
    }
    if (limits.any()) {
        json["limits"] = limits_json(limits);
        json["n_good_requests"] = sums.n_good;
        json["goodput_per_s"] = per_second(sums.n_good);
    }
    return json;
}

}  // namespace shimmy::lab

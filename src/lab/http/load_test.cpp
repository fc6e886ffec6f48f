#include "lab/http/load_test.h"

#include "base/error.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace shimmy::lab {

namespace {

constexpr std::chrono::hours UNTIL_DONE{24};
// Of what the server did when asked as fast as it answers. The last is beyond it: a queue must grow.
constexpr std::array<double, 6> SWEEP_SHARES{0.25, 0.5, 0.7, 0.85, 1.0, 1.2};
// Below this share of the offered rate the server has fallen behind.
constexpr double KEEPS_UP = 0.9;

std::vector<double> planned_arrivals(const LoadTestOptions & options) {
    std::vector<double> times;
    if (options.is_trace) {
        for (const Talk & talk : options.talks)
            times.push_back(talk.at_ms);
        if (options.n_requests > 0 && options.n_requests < times.size()) times.resize(options.n_requests);
        return times;
    }
    if (options.rate <= 0.0) return times;
    if (options.n_requests > 0) return arrival_times(options.arrivals, options.rate, options.n_requests, options.seed);
    const auto duration_ms = static_cast<double>(options.duration.count());
    const double expected = options.rate * duration_ms / 1000.0;
    // Enough for one draw in a million of the times that come more densely.
    const auto n = static_cast<size_t>(std::ceil(expected + 5.0 * std::sqrt(expected) + 5.0));
    times = arrival_times(options.arrivals, options.rate, n, options.seed);
    times.erase(std::lower_bound(times.begin() + 1, times.end(), duration_ms), times.end());
    return times;
}

LoadPlan plan_of(const LoadTestOptions & options) {
    LoadPlan plan;
    plan.url = options.url;
    plan.api_key = options.api_key;
    for (const Talk & talk : options.talks)
        plan.sessions.push_back(session_of(talk, options.ask));
    plan.n_clients = options.n_clients;
    plan.arrivals_ms = planned_arrivals(options);
    plan.n_sessions = options.n_requests;
    plan.duration = options.n_requests > 0 ? std::chrono::milliseconds(UNTIL_DONE) : options.duration;
    plan.timeout = options.timeout;
    return plan;
}

const char * loop_name(const LoadTestOptions & options) {
    return options.is_trace ? "trace" : options.rate > 0.0 ? "open" : "closed";
}

// The lowest rate above all that the server kept up with; null: it kept up with the highest. One slow step below them
// is no saturation.
Json saturated_at(const Json & steps) {
    Json rate = nullptr;
    for (const Json & step : steps) {
        if (step["loop"] != "open" || step["interrupted"].get<bool>()) continue;
        const bool keeps_up = step["conversations_per_s"].get<double>() >= KEEPS_UP * step["rate"].get<double>();
        if (keeps_up) {
            rate = nullptr;
        } else if (rate.is_null()) {
            rate = step["rate"];
        }
    }
    return rate;
}

}  // namespace

Json run_load_test(const LoadTestOptions & options) {
    const LoadPlan plan = plan_of(options);
    const LoadRun run = run_load(plan);
    if (run.interrupted && run.records.empty()) throw Interrupted();
    Json figures{{"loop", loop_name(options)}};
    if (options.rate > 0.0 && !options.is_trace) {
        figures["rate"] = options.rate;
        figures["arrivals"] = options.arrivals == Arrivals::constant ? "constant" : "poisson";
        figures["seed"] = options.seed;
    }
    figures.update(load_figures(plan, run, options.limits));
    if (figures["gap_ms"].is_null() && !run.interrupted) {
        const Json & failure = figures["first_failure"];
        fail("no answer brought two tokens within {:.0f} ms{}: measure for longer",
             options.n_requests > 0 || plan.is_open() ? run.duration_ms : static_cast<double>(options.duration.count()),
             failure.is_string() ? " (" + failure.get<std::string>() + ")" : "");
    }
    return figures;
}

Json run_sweep(const LoadTestOptions & options, const std::function<void(size_t done, size_t total)> & on_step) {
    Json steps = Json::array();
    Json best_goodput = nullptr;
    double max_rate = 0.0;
    const size_t n_steps = SWEEP_SHARES.size() + 1;
    try {
        for (size_t i = 0; i < n_steps; ++i) {
            on_step(i, n_steps);
            LoadTestOptions step = options;
            step.rate = i == 0 ? 0.0 : max_rate * SWEEP_SHARES[i - 1];
            steps.push_back(run_load_test(step));
            const Json & figures = steps.back();
            if (i == 0) max_rate = figures["conversations_per_s"];
            if (figures["interrupted"].get<bool>()) break;
            if (max_rate <= 0.0)
                fail("no request was answered within {} ms: measure for longer (--duration)", options.duration.count());
            if (figures.contains("goodput_per_s") &&
                (best_goodput.is_null() || figures["goodput_per_s"] > best_goodput))
                best_goodput = figures["goodput_per_s"];
        }
        if (steps.size() == n_steps) on_step(n_steps, n_steps);
    } catch (const Interrupted &) {
        if (steps.empty()) throw;
    }
    return {{"steps", steps},
            {"max_requests_per_s", steps[0]["requests_per_s"]},
            {"saturated_at_rate", saturated_at(steps)},
            {"best_goodput_per_s", best_goodput},
            {"interrupted", steps.size() < n_steps || steps.back()["interrupted"].get<bool>()}};
}

}  // namespace shimmy::lab

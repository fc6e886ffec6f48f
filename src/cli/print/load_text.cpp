#include "cli/print/load_text.h"

#include "base/text/text.h"
#include "report/text/table.h"

#include <fmt/format.h>

namespace shimmy::cli {

namespace {

using report::Table;

std::string ms_text(const Json & distribution, const char * what) {
    return distribution.is_object() ? fmt::format("{:.1f}", distribution.at(what).get<double>()) : "-";
}

std::string what_was_done(const Json & load) {
    const std::string loop = load.at("loop");
    std::string text;
    if (loop == "closed") text = fmt::format("{} clients", load["n_clients"].get<int>());
    if (loop == "open")
        text = fmt::format("rate {:.4g}/s ({})", load["rate"].get<double>(), load["arrivals"].get<std::string>());
    if (loop == "trace") text = fmt::format("trace of {} requests", load["n_planned"].get<int>());
    return text + fmt::format(" for {:.1f} s", load["duration_ms"].get<double>() / 1000.0);
}

std::string goodput_text(const Json & load) {
    if (!load.contains("goodput_per_s")) return "";
    std::string limits;
    for (const auto & [name, ms] : load["limits"].items())
        limits += fmt::format("{}{} {:g} ms", limits.empty() ? "" : ", ", upper(name.substr(0, name.find('_'))),
                              ms.get<double>());
    return fmt::format("goodput {:.2f} requests/s: {} of {} within {}\n", load["goodput_per_s"].get<double>(),
                       load["n_good_requests"].get<int>(), load["n_requests"].get<int>(), limits);
}

std::string failures_text(const Json & load) {
    std::string text;
    if (load["n_failed_requests"].get<int>() > 0) {
        text += fmt::format("{} of {} requests failed ({} timed out); the first: {}\n",
                            load["n_failed_requests"].get<int>(), load["n_requests"].get<int>(),
                            load["n_timed_out_requests"].get<int>(),
                            printable(load["first_failure"].get<std::string>(), 200));
    }
    if (load["n_sse_defects"].get<int>() > 0)
        text += fmt::format("{} defects in the events of streams\n", load["n_sse_defects"].get<int>());
    if (load.contains("send_delay_ms") && load["max_in_flight"].get<int>() >= load["n_clients"].get<int>())
        text += fmt::format(
            "requests were sent up to {} ms late (99%), as no more than {} may be under way (--clients); the wait is in "
            "TTFT and E2E\n",
            ms_text(load["send_delay_ms"], "p99"), load["n_clients"].get<int>());
    return text;
}

}  // namespace

std::string load_text(const Json & load) {
    Table table;
    table.columns = {{"ms", Table::Align::left}, {"mean"}, {"50%"}, {"90%"}, {"99%"}};
    for (const auto & [name, key] :
         {std::pair{"TTFT", "ttft_ms"}, {"TPOT", "tpot_ms"}, {"ITL", "gap_ms"}, {"E2E", "e2e_ms"}})
        table.rows.push_back({name, ms_text(load[key], "mean"), ms_text(load[key], "p50"), ms_text(load[key], "p90"),
                              ms_text(load[key], "p99")});
    const int n_answered = load["n_requests"].get<int>() - load["n_failed_requests"].get<int>();
    return fmt::format(
        "{}: {} requests answered, {:.2f}/s; {:.1f} output tokens/s in all; {} under way at most\n\n{}\n{}{}",
        what_was_done(load), n_answered, load["requests_per_s"].get<double>(), load["total_tps"].get<double>(),
        load["max_in_flight"].get<int>(), table.text(), goodput_text(load), failures_text(load));
}

std::string sweep_text(const Json & sweep) {
    Table table;
    table.columns = {{"load", Table::Align::left},
                     {"answered/s"},
                     {"tokens/s"},
                     {"TTFT 50%"},
                     {"TTFT 99%"},
                     {"TPOT 50%"},
                     {"TPOT 99%"},
                     {"E2E 99%"},
                     {"failed"}};
    const bool has_goodput = !sweep["best_goodput_per_s"].is_null();
    if (has_goodput) table.columns.push_back({"goodput/s"});
    for (const Json & load : sweep["steps"]) {
        const bool closed = load["loop"] == "closed";
        std::vector<std::string> row{closed ? fmt::format("{} clients", load["n_clients"].get<int>())
                                            : fmt::format("rate {:.4g}/s", load["rate"].get<double>()),
                                     fmt::format("{:.2f}", load["requests_per_s"].get<double>()),
                                     fmt::format("{:.1f}", load["total_tps"].get<double>()),
                                     ms_text(load["ttft_ms"], "p50"),
                                     ms_text(load["ttft_ms"], "p99"),
                                     ms_text(load["tpot_ms"], "p50"),
                                     ms_text(load["tpot_ms"], "p99"),
                                     ms_text(load["e2e_ms"], "p99"),
                                     fmt::format("{}", load["n_failed_requests"].get<int>())};
        if (has_goodput) row.push_back(fmt::format("{:.2f}", load["goodput_per_s"].get<double>()));
        table.rows.push_back(std::move(row));
    }
    std::string text = table.text() + fmt::format("\nasked as fast as it answers: {:.2f} requests/s; ",
                                                  sweep["max_requests_per_s"].get<double>());
    text += sweep["saturated_at_rate"].is_null()
                ? "it kept up with every rate"
                : fmt::format("it falls behind at a rate of {:.4g}/s", sweep["saturated_at_rate"].get<double>());
    if (has_goodput) text += fmt::format("; best goodput {:.2f} requests/s", sweep["best_goodput_per_s"].get<double>());
    return text + "\nTimes in ms.\n";
}

}  // namespace shimmy::cli

#include "report/documents/text_report.h"

#include "report/figures/tables.h"
#include "report/text/text.h"

#include <fmt/format.h>

namespace shimmy::report {

namespace {

// What a reader must know to trust the figures; one line each.
std::string conditions(const Json & summary) {
    const Json & settings = summary["settings"];
    return fmt::format(
        "Device: {}.\nHost: {}; {} threads. shimmy {}, llama.cpp {}.\n"
        "Each run is a fresh process; figures are the median, the range is minimum to maximum, over {} prompts x {} "
        "repeats.\n"
        "VRAM: model + KV cache + compute buffers on the device. TTFT: request accepted (model loaded) to first "
        "token.\n"
        "Decode: tokens after the first per second. Slowdown: median decode rate of the baseline / of the offload.\n",
        device_line(summary), host_line(summary), number_of(summary, "n_threads"), text_of(summary, "shimmy_version"),
        text_of(summary, "llama_cpp_version"), settings["prompts"].size(), number_of(settings, "repeats"));
}

std::string missing(const Json & summary, const std::string & rerun_command) {
    if (summary["missing"].empty()) return "";
    std::string out = fmt::format(
        "{} run(s) give no figures, and what depends on them is left out of the table; `{}` makes them again:\n",
        summary["missing"].size(), rerun_command);
    for (const Json & run : summary["missing"]) {
        out += fmt::format("  {}: {}: {}\n", text_of(run, "run"), run.value("failed", false) ? "failed" : "missing",
                           one_line(text_of(run, "reason")));
    }
    return out;
}

}  // namespace

std::string text_report(const Json & summary, const std::string & rerun_command) {
    std::string out;
    for (const Json & model : summary["models"]) {
        const Table table = comparison_table(summary, model["name"]);
        if (!table.rows.empty()) out += text_of(model, "name") + "\n\n" + table.text() + "\n";
    }
    if (!out.empty()) out += conditions(summary);
    const std::string gaps = missing(summary, rerun_command);
    return out + (out.empty() || gaps.empty() ? "" : "\n") + gaps;
}

}  // namespace shimmy::report

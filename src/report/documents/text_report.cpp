#include "report/documents/text_report.h"

#include "report/figures/axes.h"
#include "report/figures/tables.h"
#include "report/figures/tasks.h"
#include "report/text/text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace shimmy::report {

namespace {

std::string threads_text(const lab::Summary & summary) {
    const lab::Axis * axis = summary.campaign.axes.find("threads");
    return axis == nullptr ? fmt::format("{}", summary.conditions.n_threads)
                           : fmt::format("{}", fmt::join(axis->values, ", "));
}

// The settings that the first table is at: the first value of each axis.
std::string base_line(const lab::Summary & summary) {
    if (summary.campaign.axes.varied().empty()) return "";
    return fmt::format("At {}.\n", lab::words(summary.campaign.axes, lab::base_of(summary.campaign.axes)));
}

// What a reader must know to trust the figures; one line each.
std::string conditions(const lab::Summary & summary) {
    const lab::Campaign & settings = summary.campaign;
    return fmt::format(
        "Device: {}.\nHost: {}; {} threads. shimmy {}, llama.cpp {}.\n"
        "Each run is a fresh process; figures are the median, the range is minimum to maximum, over {} prompts x {} "
        "repeats.\n"
        "VRAM: model + KV cache + compute buffers on the device. TTFT: request accepted (model loaded) to first "
        "token.\n"
        "Decode: tokens after the first per second. Slowdown: median decode rate of the baseline / of the offload.\n",
        device_line(summary.conditions), host_line(summary.conditions), threads_text(summary),
        summary.conditions.shimmy_version, summary.conditions.llama_cpp_version, settings.prompts.size(),
        settings.repeats);
}

std::string missing(const lab::Summary & summary, const std::string & rerun_command) {
    if (summary.missing.empty()) return "";
    std::string out = fmt::format(
        "{} run(s) give no figures, and what depends on them is left out of the table; `{}` makes them again:\n",
        summary.missing.size(), rerun_command);
    for (const lab::MissingRun & run : summary.missing)
        out += fmt::format("  {}: {}: {}\n", run.what, run.failed ? "failed" : "missing", one_line(run.reason));
    return out;
}

}  // namespace

std::string text_report(const lab::Summary & summary, const std::string & rerun_command) {
    std::string out;
    for (const lab::CampaignModel & model : summary.campaign.models) {
        const Table table = comparison_table(summary, model.name);
        if (!table.rows.empty()) out += model.name + "\n\n" + table.text() + base_line(summary) + "\n";
        const Table effects = effects_table(summary, model.name);
        if (!effects.rows.empty())
            out += "What the axes change, against the first value of each:\n\n" + effects.text() + "\n";
        const Table tasks = task_table(summary, model.name);
        if (!tasks.rows.empty()) out += "Tasks, " + model.name + ":\n\n" + tasks.text() + "\n";
    }
    if (summary.has_figures()) out += conditions(summary);
    const std::string gaps = missing(summary, rerun_command);
    return out + (out.empty() || gaps.empty() ? "" : "\n") + gaps;
}

}  // namespace shimmy::report

#include "report/documents/markdown_report.h"

#include "report/figures/findings.h"
#include "report/figures/pareto.h"
#include "report/figures/tables.h"
#include "report/text/text.h"

#include <fmt/format.h>

namespace shimmy::report {

namespace {

std::string table_or(const Table & table, const std::string & otherwise) {
    return table.rows.empty() ? otherwise + "\n" : table.markdown();
}

std::string list_of(const std::vector<Finding> & findings, bool name_models) {
    std::string out;
    for (const Finding & finding : findings) {
        const bool named = name_models && !finding.model.empty();
        out += "- " + (named ? finding.model + ": " : "") + markdown_text(finding.text) + "\n";
    }
    return out;
}

}  // namespace

std::string environment_section(const lab::Summary & summary) {
    const lab::Campaign & settings = summary.campaign;
    std::string prompts;
    for (const lab::Prompt & prompt : settings.prompts)
        prompts += fmt::format("  - `{}`: {}\n", prompt.id, markdown_text(prompt.text));
    return fmt::format(
        "- Device: {}\n- Host: {}; {} threads\n- Program: shimmy {}, llama.cpp {}\n- Runs: {} valid, from {} to {}, "
        "each in a fresh process, the placements of one prompt in turn\n- Settings: context {}, at most {} tokens, "
        "temperature {}, seed {}, the model's chat template, repeats: {}\n- Prompts:\n{}",
        markdown_text(device_line(summary.conditions)), markdown_text(host_line(summary.conditions)),
        summary.conditions.n_threads, summary.conditions.shimmy_version, summary.conditions.llama_cpp_version,
        summary.n_valid_runs, summary.conditions.first_run_at, summary.conditions.last_run_at, settings.n_ctx,
        settings.max_tokens, settings.temperature, settings.seed, settings.repeats, prompts);
}

std::string definitions_section() {
    return fmt::format(
        "- VRAM: model, KV cache and compute buffers on the device, as llama.cpp accounts for them in the loaded "
        "context; of one cell the largest of its runs. The driver's own memory is not in it.\n"
        "- Baseline: everything on the device. Offload: the experts of every layer on the CPU; `n_cpu_moe=N`: of the "
        "first N layers.\n"
        "- TTFT: request accepted, model loaded, to the first token. Decode rate: tokens after the first, per "
        "second. Prefill rate: prompt tokens per second.\n"
        "- Cold: the first answer after loading, which ends with llama.cpp's own warm-up of a few tokens. All other "
        "figures are the warm answer's.\n"
        "- Load: file to loaded context. Peak RSS: of the process that holds the model.\n"
        "- Slowdown: median decode rate of the baseline over that of the offload.\n"
        "- Perplexity and KLD (Kullback-Leibler divergence, nats): of the second half of every chunk of the "
        "evaluation text, as llama-perplexity measures them; the divergence is that of the next token's distribution "
        "from the original's. ± there is one standard error.\n"
        "- Two lines in a cell: the median, and minimum to maximum over prompts and repeats. `a ± b`: the mean and "
        "its interval, {}.\n"
        "- Outliers: {}.\n",
        lab::INTERVAL_RULE, lab::OUTLIER_RULE);
}

std::string results_section(const lab::Summary & summary, const std::string & model, int heading_level) {
    const std::string heading(static_cast<size_t>(heading_level), '#');
    std::string out = fmt::format("{} What offloading saves and costs\n\n", heading);
    out += table_or(comparison_table(summary, model), "No quantization of this model has all its runs yet.");
    const Table cells = cell_table(summary, model);
    if (!cells.rows.empty()) out += fmt::format("\n{} Every cell\n\n", heading) + cells.markdown();
    const Table streaming = streaming_table(summary, model);
    if (!streaming.rows.empty())
        out += fmt::format("\n{} Streaming against not streaming\n\n", heading) + streaming.markdown();
    const Table load = load_table(summary, model);
    if (!load.rows.empty()) out += fmt::format("\n{} Many clients at once\n\n", heading) + load.markdown();
    return out;
}

namespace {

// What the quality costs: Pareto fronts, and what to take for how much VRAM.
std::string cost_section(const lab::Summary & summary, const std::string & model, const Quality & quality) {
    const Table table = pareto_table(summary, model, quality);
    if (table.rows.empty()) return "";
    std::string out =
        "\nQuality against file size, VRAM and speed. `yes`: on the Pareto front, nothing measured is as good in both "
        "and better in one.\n\n" +
        table.markdown() +
        "\nWhich to take, the lowest mean KLD at no less than half the speed of the fastest that fits:\n\n";
    return out + recommendation_table(summary, model, quality).markdown() +
           (summary.conditions.device.software
                ? "\nThe speeds are a software device's: on a GPU the choice may differ.\n"
                : "");
}

}  // namespace

namespace {

std::string offload_section(const lab::Summary & summary, const std::string & model, const Quality & quality) {
    const Table table = offload_table(summary, model, quality);
    if (table.rows.empty()) return "";
    return "\nThe same file with its experts on the CPU against everything on the device: below the bound is the rounding "
           "of other kernels, above it a defect.\n\n" +
           table.markdown();
}

}  // namespace

std::string quality_section(const lab::Summary & summary, const std::string & model, const Quality & quality) {
    const ModelQuality * measured = quality.of(model);
    if (measured == nullptr && summary.model(model).is_synthetic())
        return "Weights are random: there is no quality to measure.\n";
    if (measured == nullptr) {
        return fmt::format("Not measured for {}. This command measures it:\n\n```\n{}\n```\n", model,
                           quality.command(model));
    }
    return fmt::format("Against {}, over {} chunks of {} tokens of {}.\n\n",
                       markdown_code(fs::path(measured->base_file).filename().string()), measured->n_chunks,
                       measured->n_ctx, markdown_code(fs::path(measured->text_file).filename().string())) +
           quality_table(summary, model, quality).markdown() + cost_section(summary, model, quality) +
           offload_section(summary, model, quality);
}

std::string findings_section(const lab::Summary & summary, const Quality & quality) {
    const bool several = summary.campaign.models.size() > 1;
    std::string out = list_of(find_findings(summary), several);
    if (out.empty()) out = "None yet: no quantization has all its runs.\n";
    const std::string anomalies = list_of(find_anomalies(summary, quality), several);
    out +=
        anomalies.empty() ? "\nNothing in the figures asks for a second look.\n" : "\n**Look twice:**\n\n" + anomalies;
    return out;
}

std::string missing_section(const lab::Summary & summary, const Commands & commands) {
    std::string out;
    for (const lab::MissingRun & run : summary.missing)
        out += fmt::format("- {}: {}: {}\n", run.what, run.failed ? "failed" : "missing", markdown_text(run.reason));
    if (out.empty()) return "";
    return fmt::format("{} run(s) give no figures, and what depends on them is left out; `{}` makes them:\n\n{}",
                       summary.missing.size(), commands.run, out);
}

std::string markdown_report(const lab::Summary & summary, const Quality & quality, const Commands & commands) {
    std::string out = fmt::format("# Campaign {}\n\n", summary.campaign.name);
    if (summary.has_figures()) {
        out += "## Findings\n\n" + findings_section(summary, quality);
        for (const lab::CampaignModel & model : summary.campaign.models) {
            const std::string & name = model.name;
            out += fmt::format("\n## {}\n\n", name) + results_section(summary, name, 3);
            out += "\n### Quality\n\n" + quality_section(summary, name, quality);
            out += "\n### Files measured\n\n" + table_or(file_table(summary, name), "None yet.");
        }
        out += "\n## How the figures were measured\n\n" + environment_section(summary) + definitions_section();
        out += "- Every run is a file under `results/`, with its command line; `results.csv` has a line for each.\n";
    }
    const std::string missing = missing_section(summary, commands);
    if (!missing.empty()) out += "\n## Missing\n\n" + missing;
    return out;
}

}  // namespace shimmy::report

#include "lab/report.h"

#include "base/units.h"
#include "lab/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace shimmy::lab {

namespace {

constexpr const char * SOFTWARE_DEVICE = "software device: speeds are not a GPU's";

// Three significant digits: more than the spread of a measurement carries.
std::string format_figure(double value) {
    if (value < 9.995) return fmt::format("{:.2f}", value);
    if (value < 99.95) return fmt::format("{:.1f}", value);
    return fmt::format("{:.0f}", value);
}

std::string median_and_range(const Statistics & s) {
    return fmt::format("{}\n{}–{}", format_figure(s.median), format_figure(s.min), format_figure(s.max));
}

std::string format_saved(const Row & row) {
    const int64_t saved = row.saved_bytes();
    return fmt::format("{}{}\n{:.1f}%", saved < 0 ? "-" : "", format_bytes(static_cast<uint64_t>(std::abs(saved))),
                       row.saved_percent());
}

bool has_partial_placement(const Summary & summary) {
    return std::any_of(summary.rows.begin(), summary.rows.end(),
                       [](const Row & row) { return row.placement != engine::Placement::offload(); });
}

Table make_table(const Summary & summary) {
    using Align = Table::Align;
    const bool partial = has_partial_placement(summary);
    Table table;
    table.columns = {{"model", Align::left}, {"type", Align::left}};
    if (partial) table.columns.push_back({"offload", Align::left});
    for (const char * title :
         {"file\nsize", "VRAM\nbaseline", "VRAM\noffload", "VRAM\nsaved", "TTFT, ms\nbaseline", "TTFT, ms\noffload",
          "decode, tok/s\nbaseline", "decode, tok/s\noffload", "slowdown", "n"}) {
        table.columns.push_back({title, Align::right});
    }
    for (const Row & row : summary.rows) {
        std::vector<std::string> cells{row.model, row.quantization};
        if (partial) cells.push_back(engine::to_string(row.placement));
        for (const std::string & cell :
             {format_bytes(row.file_size_bytes), format_bytes(row.baseline.vram_bytes),
              format_bytes(row.offload.vram_bytes), format_saved(row), median_and_range(row.baseline.ttft_ms),
              median_and_range(row.offload.ttft_ms), median_and_range(row.baseline.decode_tps),
              median_and_range(row.offload.decode_tps), fmt::format("{:.2f}x", row.slowdown()),
              fmt::format("{}", row.baseline.decode_tps.n)}) {
            cells.push_back(cell);
        }
        table.rows.push_back(std::move(cells));
    }
    return table;
}

std::string text_of(const Json & object, const char * key) {
    return object.is_object() && object.contains(key) && object[key].is_string() ? object[key].get<std::string>() : "";
}

std::string device_line(const Conditions & conditions) {
    const Json & device = conditions.device;
    const bool software =
        device.contains("software") && device["software"].is_boolean() && device["software"].get<bool>();
    return fmt::format("{}: {} ({}, {}){}", text_of(device, "name"), text_of(device, "description"),
                       text_of(device, "backend"), text_of(device, "kind"),
                       software ? fmt::format(" — {}", SOFTWARE_DEVICE) : "");
}

std::string host_line(const Conditions & conditions) {
    const Json & host = conditions.host;
    std::string line = text_of(host, "cpu");
    if (host.contains("n_cores") && host["n_cores"].is_number())
        line += fmt::format(", {} cores", host["n_cores"].dump());
    if (host.contains("ram_bytes") && host["ram_bytes"].is_number_unsigned()) {
        line += fmt::format(", {} RAM", format_bytes(host["ram_bytes"].get<uint64_t>()));
    }
    if (!text_of(host, "os").empty()) line += ", " + text_of(host, "os");
    return line;
}

// What a reader must know to trust or repeat the figures; one line each.
std::vector<std::string> condition_lines(const Summary & summary) {
    const Campaign & campaign = summary.campaign;
    const Conditions & conditions = summary.conditions;
    const size_t n_prompts = campaign.prompts.size();
    return {
        fmt::format("Device: {}.", device_line(conditions)),
        fmt::format("Host: {}; {} threads.", host_line(conditions), conditions.n_threads),
        fmt::format("Program: shimmy {}, llama.cpp {}.", conditions.shimmy_version, conditions.llama_cpp_version),
        fmt::format(
            "Runs: n = {} per figure ({} prompts x {} repeats), each in a fresh process, baseline and offload in "
            "turn; {} to {} (start of the first and the last run).",
            n_prompts * static_cast<size_t>(campaign.repeats), n_prompts, campaign.repeats, conditions.first_run_at,
            conditions.last_run_at),
        "Spread: the figure is the median over the runs, the range is their minimum–maximum, over prompts and repeats.",
        fmt::format("Settings: n_ctx {}, at most {} tokens, temperature {}, seed {}, the model's chat template.",
                    campaign.n_ctx, campaign.max_tokens, campaign.temperature, campaign.seed),
        "VRAM: model + KV cache + compute buffers on the device, as llama.cpp accounts for them; for one placement the "
        "largest of its runs.",
        "Baseline: everything on the device. Offload: the experts of every layer on the CPU; n_cpu_moe=N: of the first "
        "N.",
        "TTFT: request accepted (model loaded) to first token. Decode: tokens after the first per second. "
        "Slowdown: median decode rate of the baseline / of the offload.",
    };
}

std::vector<std::string> missing_lines(const Summary & summary) {
    std::vector<std::string> lines;
    for (const MissingRun & run : summary.missing) {
        lines.push_back(fmt::format("{}: {}: {}", run.what, run.failed ? "failed" : "missing", run.reason));
    }
    return lines;
}

std::string missing_headline(const Summary & summary, const std::string & command) {
    return fmt::format(
        "{} run(s) give no figures, and what depends on them is left out of the table; `{}` makes them again:",
        summary.missing.size(), command);
}

std::string command_text(const std::string & text) {
    std::string out;
    for (const char c : text)
        out += c == '\n' ? ' ' : c;
    return out;
}

}  // namespace

std::string text_report(const Summary & summary, const std::string & rerun_command) {
    std::string out;
    if (!summary.rows.empty()) {
        out += make_table(summary).text() + "\n";
        for (const std::string & line : condition_lines(summary))
            out += line + "\n";
    }
    if (!summary.complete()) {
        out += (out.empty() ? "" : "\n") + missing_headline(summary, rerun_command) + "\n";
        for (const std::string & line : missing_lines(summary))
            out += "  " + line + "\n";
    }
    return out;
}

std::string markdown_report(const Summary & summary, const std::string & rerun_command) {
    std::string out = fmt::format("# Campaign {}\n", summary.campaign.name);
    if (!summary.rows.empty()) {
        out += "\n## How the figures were measured\n\n";
        for (const std::string & line : condition_lines(summary))
            out += "- " + line + "\n";
        out += "- Prompts:\n";
        for (const Prompt & prompt : summary.campaign.prompts) {
            out += fmt::format("  - `{}`: {}\n", prompt.id, command_text(prompt.text));
        }
        out += "- Every run is a file under `results/<model>/<type>/<placement>/`, with its command line.\n";
        out += "\n## What offloading saves and costs\n\n" + make_table(summary).markdown();
        out += "\n## Files measured\n\n";
        Table files;
        files.columns = {{"model", Table::Align::left},
                         {"type", Table::Align::left},
                         {"size", Table::Align::right},
                         {"sha256", Table::Align::left}};
        for (const Row & row : summary.rows) {
            std::vector<std::string> cells{row.model, row.quantization, format_bytes(row.file_size_bytes),
                                           "`" + row.model_sha256 + "`"};
            if (files.rows.empty() || files.rows.back() != cells) files.rows.push_back(std::move(cells));
        }
        out += files.markdown();
    }
    if (!summary.complete()) {
        out += "\n## Missing\n\n" + missing_headline(summary, rerun_command) + "\n\n";
        for (const std::string & line : missing_lines(summary))
            out += "- " + command_text(line) + "\n";
    }
    return out;
}

}  // namespace shimmy::lab

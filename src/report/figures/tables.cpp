#include "report/figures/tables.h"

#include "base/json.h"
#include "base/text/units.h"
#include "report/figures/axes.h"
#include "report/figures/selection.h"
#include "report/text/text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdlib>

namespace shimmy::report {

namespace {

using Align = Table::Align;

std::string saved(const lab::Row & row) {
    const int64_t bytes = row.saved_bytes();
    return fmt::format("{}{}\n{:.1f}%", bytes < 0 ? "-" : "", format_bytes(static_cast<uint64_t>(std::abs(bytes))),
                       row.saved_percent());
}

std::string csv_cell(const std::string & text) {
    if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
    std::string out = "\"";
    for (const char c : text)
        out += c == '"' ? std::string("\"\"") : std::string(1, c);
    return out + "\"";
}

std::string csv_line(const std::vector<std::string> & cells) {
    std::string line;
    for (const std::string & cell : cells)
        line += (line.empty() ? "" : ",") + csv_cell(cell);
    return line + "\r\n";
}

std::string csv_number(double value) {
    return json_text(Json(value), -1);  // as summary.json has it
}

// Which settings a line is of, in a column behind the one of `index`, where the campaign has axes.
void add_settings_column(Table & table, size_t index) {
    table.columns.insert(table.columns.begin() + static_cast<std::ptrdiff_t>(index), {"settings", Align::left});
}
void add_settings(std::vector<std::string> & line, size_t index, const std::string & settings) {
    line.insert(line.begin() + static_cast<std::ptrdiff_t>(index), settings);
}
bool has_settings(const lab::Summary & summary) {
    return !summary.campaign.axes.listed().empty();
}

}  // namespace

Table comparison_table(const lab::Summary & summary, const std::string & model) {
    Table table;
    table.columns = {{"type", Align::left},
                     {"placement", Align::left},
                     {"file", Align::right},
                     {"VRAM\nbaseline", Align::right},
                     {"VRAM\noffload", Align::right},
                     {"saved", Align::right},
                     {"TTFT, ms\nbaseline", Align::right},
                     {"TTFT, ms\noffload", Align::right},
                     {"decode, tok/s\nbaseline", Align::right},
                     {"decode, tok/s\noffload", Align::right},
                     {"slowdown", Align::right},
                     {"n", Align::right}};
    for (const lab::Row * row : rows_of(summary, model)) {
        const lab::Figures & baseline = row->baseline;
        const lab::Figures & offload = row->offload;
        table.rows.push_back({row->quantization, engine::to_string(row->placement), format_bytes(row->file_size_bytes),
                              format_bytes(baseline.vram_bytes), format_bytes(offload.vram_bytes), saved(*row),
                              median_and_range(baseline.ttft_ms), median_and_range(offload.ttft_ms),
                              median_and_range(baseline.decode_tps), median_and_range(offload.decode_tps),
                              fmt::format("{:.2f}x", row->slowdown()), fmt::format("{}", baseline.decode_tps.n)});
    }
    return table;
}

Table cell_table(const lab::Summary & summary, const std::string & model) {
    Table table;
    table.columns = {{"type", Align::left},
                     {"placement", Align::left},
                     {"mode", Align::left},
                     {"VRAM", Align::right},
                     {"model", Align::right},
                     {"KV cache", Align::right},
                     {"compute", Align::right},
                     {"peak RSS", Align::right},
                     {"load, ms", Align::right},
                     {"TTFT, ms\ncold", Align::right},
                     {"TTFT, ms\nwarm", Align::right},
                     {"prefill,\ntok/s", Align::right},
                     {"decode,\ntok/s", Align::right},
                     {"n", Align::right}};
    constexpr size_t SETTINGS = 3;
    constexpr size_t EXPERT_CACHE = 7;
    const bool has_cache = std::any_of(summary.cells.begin(), summary.cells.end(), [&](const lab::Cell & cell) {
        return cell.model == model && cell.figures && cell.figures->expert_cache_bytes > 0;
    });
    if (has_cache) table.columns.insert(table.columns.begin() + EXPERT_CACHE, {"expert\ncache", Align::right});
    if (has_settings(summary)) add_settings_column(table, SETTINGS);
    for (const lab::Cell & cell : summary.cells) {
        if (cell.model != model || !cell.figures) continue;
        const lab::Figures & figures = *cell.figures;
        table.rows.push_back({cell.quantization, engine::to_string(cell.placement), mode_name(cell.mode),
                              format_bytes(figures.vram_bytes), format_bytes(figures.model_bytes),
                              format_bytes(figures.context_bytes), format_bytes(figures.compute_bytes),
                              format_bytes(figures.peak_rss_bytes), mean_and_interval(figures.load_ms),
                              cell.cold ? mean_and_interval(cell.cold->ttft_ms) : "-",
                              mean_and_interval(figures.ttft_ms), mean_and_interval(figures.prefill_tps),
                              mean_and_interval(figures.decode_tps), fmt::format("{}", cell.samples.size())});
        if (has_cache) {
            auto & row = table.rows.back();
            row.insert(row.begin() + EXPERT_CACHE, format_bytes(figures.expert_cache_bytes));
        }
        if (has_settings(summary)) add_settings(table.rows.back(), SETTINGS, settings_text(summary, cell));
    }
    return table;
}

Table streaming_table(const lab::Summary & summary, const std::string & model) {
    Table table;
    table.columns = {{"type", Align::left},
                     {"placement", Align::left},
                     {"total time, streaming\nagainst not", Align::right},
                     {"95% interval", Align::right},
                     {"same text", Align::right},
                     {"stream defects", Align::right}};
    constexpr size_t SETTINGS = 2;
    if (has_settings(summary)) add_settings_column(table, SETTINGS);
    for (const lab::StreamingComparison & line : summary.streaming) {
        if (line.model != model) continue;
        const lab::Statistics & percent = line.total_percent;
        const std::optional<double> half = percent.ci95_half_width();
        table.rows.push_back(
            {line.quantization, engine::to_string(line.placement), fmt::format("{:+.1f}%", percent.mean),
             half ? fmt::format("{:+.1f}% to {:+.1f}%", percent.mean - *half, percent.mean + *half) : "one pair",
             fmt::format("{} of {}", line.n_same_text, percent.n), fmt::format("{}", line.n_sse_defects)});
        if (has_settings(summary)) add_settings(table.rows.back(), SETTINGS, settings_text(summary, line));
    }
    return table;
}

Table load_table(const lab::Summary & summary, const std::string & model) {
    Table table;
    table.columns = {{"type", Align::left},
                     {"placement", Align::left},
                     {"clients", Align::right},
                     {"tok/s, all", Align::right},
                     {"TTFT, ms\np50 / p90 / p99", Align::right},
                     {"between tokens, ms\np50 / p90 / p99", Align::right},
                     {"requests", Align::right},
                     {"failed", Align::right}};
    constexpr size_t SETTINGS = 2;
    if (has_settings(summary)) add_settings_column(table, SETTINGS);
    const auto percentiles = [](const lab::Percentiles & p) {
        return fmt::format("{} / {} / {}", figure(p.p50), figure(p.p90), figure(p.p99));
    };
    for (const lab::LoadFigures & line : summary.load) {
        if (line.model != model) continue;
        table.rows.push_back({line.quantization, engine::to_string(line.placement), fmt::format("{}", line.n_clients),
                              mean_and_interval(line.total_tps), percentiles(line.ttft_ms), percentiles(line.gap_ms),
                              fmt::format("{}", line.n_requests), fmt::format("{}", line.n_failed_requests)});
        if (has_settings(summary)) add_settings(table.rows.back(), SETTINGS, settings_text(summary, line));
    }
    return table;
}

Table quality_table(const lab::Summary & summary, const std::string & model, const Quality & quality) {
    Table table;
    table.columns = {{"type", Align::left},           {"bits per\nweight", Align::right}, {"perplexity", Align::right},
                     {"of the base's", Align::right}, {"mean KLD", Align::right},         {"p99 KLD", Align::right},
                     {"same top token", Align::right}};
    for (const lab::MeasuredFile * variant : variants_of(summary, model)) {
        const QualityFigures * entry = quality.of(model, variant->quantization);
        if (entry == nullptr) continue;
        table.rows.push_back({variant->quantization, fmt::format("{:.2f}", entry->bits_per_weight),
                              plus_minus(entry->ppl, entry->ppl_error, 4), fmt::format("{:.4f}", entry->ppl_ratio),
                              plus_minus(entry->mean_kld, entry->mean_kld_error, 5),
                              fmt::format("{:.4f}", entry->kld_p99), fmt::format("{:.2f}%", entry->same_top_percent)});
    }
    return table;
}

Table offload_table(const lab::Summary & summary, const std::string & model, const Quality & quality) {
    Table table;
    table.columns = {{"type", Align::left}, {"mean KLD", Align::right},       {"bound", Align::right},
                     {"max KLD"},           {"same top token", Align::right}, {"verdict", Align::left}};
    for (const lab::MeasuredFile * variant : variants_of(summary, model)) {
        const OffloadFigures * check = quality.offload_of(model, variant->quantization);
        if (check == nullptr) continue;
        table.rows.push_back({variant->quantization, plus_minus(check->mean_kld, check->mean_kld_error, 6),
                              fmt::format("{:g}", check->mean_kld_bound), fmt::format("{:.4f}", check->max_kld),
                              fmt::format("{:.2f}%", check->same_top_percent),
                              check->within_bound ? "the same model" : "**defect**"});
    }
    return table;
}

Table file_table(const lab::Summary & summary, const std::string & model) {
    Table table;
    table.columns = {{"type", Align::left}, {"size", Align::right}, {"sha256", Align::left}};
    const auto code = [](const std::string & text) { return "`" + text + "`"; };
    for (const lab::MeasuredFile * variant : variants_of(summary, model)) {
        if (variant->sha256.empty() || variant->file_size_bytes == 0) continue;
        table.rows.push_back({variant->quantization, format_bytes(variant->file_size_bytes), code(variant->sha256)});
        for (const lab::FilePart & part : variant->parts)
            table.rows.push_back({code(part.file), format_bytes(part.size_bytes), code(part.sha256)});
    }
    return table;
}

std::string results_csv(const lab::Summary & summary) {
    std::vector<std::string> names{"model",           "quantization", "placement",      "mode",       "prompt_id",
                                   "repeat",          "ttft_ms",      "prefill_tps",    "decode_tps", "total_ms",
                                   "load_ms",         "vram_bytes",   "peak_rss_bytes", "outlier_in", "device",
                                   "software_device", "file"};
    for (const lab::Axis & axis : summary.campaign.axes.list)
        names.push_back(axis.key);
    std::string out = csv_line(names);
    const lab::DeviceFacts & device = summary.conditions.device;
    for (const lab::Cell & cell : summary.cells) {
        for (const lab::Sample & sample : cell.samples) {
            std::vector<std::string> line(
                {cell.model, cell.quantization, engine::to_string(cell.placement), lab::to_string(cell.mode),
                 sample.prompt_id, fmt::format("{}", sample.repeat), csv_number(sample.ttft_ms),
                 csv_number(sample.prefill_tps), csv_number(sample.decode_tps), csv_number(sample.total_ms),
                 csv_number(sample.load_ms), fmt::format("{}", cell.figures->vram_bytes),
                 fmt::format("{}", cell.figures->peak_rss_bytes), fmt::format("{}", fmt::join(sample.outlier_in, " ")),
                 device.description, device.software ? "true" : "false", sample.file});
            for (const lab::Axis & axis : summary.campaign.axes.list) {
                const std::string * value = lab::value_of(cell.point, axis.key);
                line.push_back(value == nullptr ? "" : *value);
            }
            out += csv_line(line);
        }
    }
    return out;
}

}  // namespace shimmy::report

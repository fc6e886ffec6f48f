#include "report/figures/tables.h"

#include "base/units.h"
#include "report/text/text.h"

#include <fmt/format.h>

#include <cmath>

namespace shimmy::report {

namespace {

using Align = Table::Align;

std::string saved(const Json & row) {
    const double bytes = number_of(row, "saved_bytes");
    return fmt::format("{}{}\n{:.1f}%", bytes < 0.0 ? "-" : "", format_bytes(static_cast<uint64_t>(std::abs(bytes))),
                       number_of(row, "saved_percent"));
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

std::string csv_number(const Json & value) {
    return value.is_number() ? json_text(value, -1) : "";
}

Table offload_table(const Json & summary, const std::string & model, const Quality & quality) {
    Table table;
    table.columns = {{"type", Align::left}, {"mean KLD", Align::right},       {"bound", Align::right},
                     {"max KLD"},           {"same top token", Align::right}, {"verdict", Align::left}};
    for (const Json & variant : summary["variants"]) {
        if (variant["model"] != model) continue;
        const Json * check = quality.offload_of(model, variant["quantization"]);
        if (check == nullptr) continue;
        table.rows.push_back({text_of(variant, "quantization"),
                              plus_minus(number_of(*check, "mean_kld"), number_of(*check, "mean_kld_error"), 6),
                              fmt::format("{:g}", number_of(*check, "mean_kld_bound")),
                              fmt::format("{:.4f}", number_of(*check, "max_kld")),
                              fmt::format("{:.2f}%", number_of(*check, "same_top_percent")),
                              check->value("within_bound", false) ? "the same model" : "**defect**"});
    }
    return table;
}

}  // namespace

Table comparison_table(const Json & summary, const std::string & model) {
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
    for (const Json * row : rows_of(summary, model)) {
        const Json & baseline = (*row)["baseline"];
        const Json & offload = (*row)["offload"];
        table.rows.push_back({text_of(*row, "quantization"), text_of(*row, "placement"), size(*row, "file_size_bytes"),
                              size(baseline, "vram_bytes"), size(offload, "vram_bytes"), saved(*row),
                              median_and_range(baseline["ttft_ms"]), median_and_range(offload["ttft_ms"]),
                              median_and_range(baseline["decode_tps"]), median_and_range(offload["decode_tps"]),
                              fmt::format("{:.2f}x", number_of(*row, "slowdown")),
                              fmt::format("{}", number_of(baseline["decode_tps"], "n"))});
    }
    return table;
}

Table cell_table(const Json & summary, const std::string & model) {
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
    for (const Json & cell : summary["cells"]) {
        if (cell["model"] != model || !cell.contains("vram_bytes")) continue;
        const Json & vram = cell["vram"];
        const bool cold = cell.contains("cold") && cell["cold"].is_object();
        table.rows.push_back({text_of(cell, "quantization"), text_of(cell, "placement"), mode_name(cell["mode"]),
                              size(cell, "vram_bytes"), size(vram, "model_bytes"), size(vram, "context_bytes"),
                              size(vram, "compute_bytes"), size(cell, "peak_rss_bytes"),
                              mean_and_interval(cell["load_ms"]),
                              cold ? mean_and_interval(cell["cold"]["ttft_ms"]) : "-",
                              mean_and_interval(cell["ttft_ms"]), mean_and_interval(cell["prefill_tps"]),
                              mean_and_interval(cell["decode_tps"]), fmt::format("{}", number_of(cell, "n_valid"))});
    }
    return table;
}

Table streaming_table(const Json & summary, const std::string & model) {
    Table table;
    table.columns = {{"type", Align::left},
                     {"placement", Align::left},
                     {"total time, streaming\nagainst not", Align::right},
                     {"95% interval", Align::right},
                     {"same text", Align::right},
                     {"stream defects", Align::right}};
    for (const Json & line : summary["streaming"]) {
        if (line["model"] != model || line["total_percent"].is_null()) continue;
        const Json & percent = line["total_percent"];
        table.rows.push_back(
            {text_of(line, "quantization"), text_of(line, "placement"),
             fmt::format("{:+.1f}%", number_of(percent, "mean")),
             percent["ci95_low"].is_null()
                 ? "one pair"
                 : fmt::format("{:+.1f}% to {:+.1f}%", number_of(percent, "ci95_low"), number_of(percent, "ci95_high")),
             fmt::format("{} of {}", number_of(line, "n_same_text"), number_of(line, "n_pairs")),
             fmt::format("{}", number_of(line["sse"], "n_defects"))});
    }
    return table;
}

Table load_table(const Json & summary, const std::string & model) {
    Table table;
    table.columns = {{"type", Align::left},
                     {"placement", Align::left},
                     {"clients", Align::right},
                     {"tok/s, all", Align::right},
                     {"TTFT, ms\np50 / p90 / p99", Align::right},
                     {"between tokens, ms\np50 / p90 / p99", Align::right},
                     {"requests", Align::right},
                     {"failed", Align::right}};
    const auto percentiles = [](const Json & p) {
        return fmt::format("{} / {} / {}", figure(number_of(p, "p50")), figure(number_of(p, "p90")),
                           figure(number_of(p, "p99")));
    };
    for (const Json & line : summary["load"]) {
        if (line["model"] != model) continue;
        table.rows.push_back({text_of(line, "quantization"), text_of(line, "placement"),
                              fmt::format("{}", number_of(line, "n_clients")), mean_and_interval(line["total_tps"]),
                              percentiles(line["ttft_ms"]), percentiles(line["gap_ms"]),
                              fmt::format("{}", number_of(line, "n_requests")),
                              fmt::format("{}", number_of(line, "n_failed_requests"))});
    }
    return table;
}

Table quality_table(const Json & summary, const std::string & model, const Quality & quality) {
    Table table;
    table.columns = {{"type", Align::left},           {"bits per\nweight", Align::right}, {"perplexity", Align::right},
                     {"of the base's", Align::right}, {"mean KLD", Align::right},         {"p99 KLD", Align::right},
                     {"same top token", Align::right}};
    for (const Json & variant : summary["variants"]) {
        if (variant["model"] != model) continue;
        const Json * entry = quality.of(model, variant["quantization"]);
        if (entry == nullptr) continue;
        table.rows.push_back({text_of(variant, "quantization"),
                              fmt::format("{:.2f}", number_of(*entry, "bits_per_weight")),
                              plus_minus(number_of(*entry, "ppl"), number_of(*entry, "ppl_error"), 4),
                              fmt::format("{:.4f}", number_of(*entry, "ppl_ratio")),
                              plus_minus(number_of(*entry, "mean_kld"), number_of(*entry, "mean_kld_error"), 5),
                              fmt::format("{:.4f}", number_of(*entry, "kld_p99")),
                              fmt::format("{:.2f}%", number_of(*entry, "same_top_percent"))});
    }
    return table;
}

std::string offload_section(const Json & summary, const std::string & model, const Quality & quality) {
    const Table table = offload_table(summary, model, quality);
    if (table.rows.empty()) return "";
    return "\nThe same file with its experts on the CPU against everything on the device: below the bound is the rounding "
           "of other kernels, above it a defect.\n\n" +
           table.markdown();
}

Table file_table(const Json & summary, const std::string & model) {
    Table table;
    table.columns = {{"type", Align::left}, {"size", Align::right}, {"sha256", Align::left}};
    for (const Json & variant : summary["variants"]) {
        if (variant["model"] != model || variant["model_sha256"].is_null() || variant["file_size_bytes"].is_null())
            continue;
        table.rows.push_back({text_of(variant, "quantization"), size(variant, "file_size_bytes"),
                              "`" + text_of(variant, "model_sha256") + "`"});
        if (!variant.contains("parts")) continue;
        for (const Json & part : variant["parts"])
            table.rows.push_back(
                {"`" + text_of(part, "file") + "`", size(part, "size_bytes"), "`" + text_of(part, "sha256") + "`"});
    }
    return table;
}

std::string results_csv(const Json & summary) {
    std::string out = csv_line({"model", "quantization", "placement", "mode", "prompt_id", "repeat", "ttft_ms",
                                "prefill_tps", "decode_tps", "total_ms", "load_ms", "vram_bytes", "peak_rss_bytes",
                                "outlier_in", "device", "software_device", "file"});
    for (const Json & cell : summary["cells"]) {
        if (!cell.contains("samples")) continue;
        for (const Json & sample : cell["samples"]) {
            std::string outliers;
            for (const Json & name : sample["outlier_in"])
                outliers += (outliers.empty() ? "" : " ") + name.get<std::string>();
            out += csv_line(
                {cell["model"], cell["quantization"], cell["placement"], cell["mode"], sample["prompt_id"],
                 csv_number(sample["repeat"]), csv_number(sample["ttft_ms"]), csv_number(sample["prefill_tps"]),
                 csv_number(sample["decode_tps"]), csv_number(sample["total_ms"]), csv_number(sample["load_ms"]),
                 csv_number(cell["vram_bytes"]), csv_number(cell["peak_rss_bytes"]), outliers,
                 text_of(summary["device"], "description"), is_software(summary) ? "true" : "false", sample["file"]});
        }
    }
    return out;
}

}  // namespace shimmy::report

#include "report/figures/findings.h"

#include "base/units.h"
#include "report/text/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace shimmy::report {

namespace {

constexpr double CONSISTENT_POINTS = 5.0;  // percent of VRAM saved may differ by this much and still be called the same
constexpr double SWEET_SPOT_SHARE = 0.5;   // of the fastest decode rate that fits

std::vector<std::string> offloading_placements(const std::vector<const Json *> & rows) {
    std::vector<std::string> names;
    for (const Json * row : rows) {
        const std::string name = (*row)["placement"];
        if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
    return names;
}

std::vector<const Json *> with_placement(const std::vector<const Json *> & rows, const std::string & placement) {
    std::vector<const Json *> found;
    for (const Json * row : rows) {
        if ((*row)["placement"] == placement) found.push_back(row);
    }
    // Smallest file first: that is the order in which a quantization grows.
    std::stable_sort(found.begin(), found.end(), [](const Json * a, const Json * b) {
        return bytes_of(*a, "file_size_bytes") < bytes_of(*b, "file_size_bytes");
    });
    return found;
}

std::string reduction_finding(const std::vector<const Json *> & rows, const std::string & placement) {
    const auto by_saving = [](const Json * a, const Json * b) {
        return number_of(*a, "saved_percent") < number_of(*b, "saved_percent");
    };
    const auto [least, most] = std::minmax_element(rows.begin(), rows.end(), by_saving);
    const double low = number_of(**least, "saved_percent");
    const double high = number_of(**most, "saved_percent");
    if (rows.size() == 1)
        return fmt::format("{} saves {:.1f}% of the VRAM of {}.", placement, low, text_of(**least, "quantization"));
    const std::string range = fmt::format("from {:.1f}% ({}) to {:.1f}% ({})", low, text_of(**least, "quantization"),
                                          high, text_of(**most, "quantization"));
    return high - low <= CONSISTENT_POINTS
               ? fmt::format("The share of VRAM that {} saves is about the same in every quantization: {}.", placement,
                             range)
               : fmt::format("The share of VRAM that {} saves depends on the quantization: {}.", placement, range);
}

std::string slowdown_finding(const std::vector<const Json *> & rows, const std::string & placement) {
    std::string list;
    bool rising = true;
    bool falling = true;
    for (size_t i = 0; i < rows.size(); ++i) {
        const double slowdown = number_of(*rows[i], "slowdown");
        list += fmt::format("{}{} {:.2f}x", i == 0 ? "" : ", ", text_of(*rows[i], "quantization"), slowdown);
        if (i == 0) continue;
        const double before = number_of(*rows[i - 1], "slowdown");
        rising = rising && slowdown > before;
        falling = falling && slowdown < before;
    }
    const char * trend = rising    ? "grows with the size of the quantization"
                         : falling ? "shrinks as the quantization grows"
                                   : "does not follow the size of the quantization";
    if (rows.size() < 2) return fmt::format("With {} decoding is slower by {}.", placement, list);
    return fmt::format("The slowdown of decoding with {} {}: {}.", placement, trend, list);
}

// For growing VRAM, the quantization with the most bits among the cells that fit and decode at least at half of the
// rate of the fastest that fits.
std::string sweet_spot_finding(std::vector<const Json *> cells, const std::map<std::string, uint64_t> & file_bytes) {
    std::stable_sort(cells.begin(), cells.end(), [](const Json * a, const Json * b) {
        return bytes_of(*a, "vram_bytes") < bytes_of(*b, "vram_bytes");
    });
    std::string list;
    std::string last;
    for (size_t n_fit = 1; n_fit <= cells.size(); ++n_fit) {
        const auto rate = [](const Json * cell) { return number_of((*cell)["decode_tps"], "median"); };
        double fastest = 0.0;
        for (size_t i = 0; i < n_fit; ++i)
            fastest = std::max(fastest, rate(cells[i]));
        const Json * best = nullptr;
        for (size_t i = 0; i < n_fit; ++i) {
            if (rate(cells[i]) < SWEET_SPOT_SHARE * fastest) continue;
            const auto key = [&](const Json * cell) {
                return std::pair(file_bytes.at((*cell)["quantization"]), rate(cell));
            };
            if (best == nullptr || key(cells[i]) > key(best)) best = cells[i];
        }
        const std::string name = cell_name(*best);
        if (name == last) continue;
        list += fmt::format("{}from {} of VRAM {} ({} tokens/s)", list.empty() ? "" : ", ",
                            size(*cells[n_fit - 1], "vram_bytes"), name, figure(rate(best)));
        last = name;
    }
    return fmt::format(
        "Sweet spot, the most bits per weight at no less than half the speed of the fastest that fits: {}.", list);
}

void add_model_findings(const Json & summary, const std::string & model, std::vector<Finding> & findings) {
    const auto rows = rows_of(summary, model);
    if (rows.empty()) return;
    for (const std::string & placement : offloading_placements(rows)) {
        const auto same = with_placement(rows, placement);
        findings.push_back({model, reduction_finding(same, placement)});
        findings.push_back({model, slowdown_finding(same, placement)});
    }
    std::map<std::string, uint64_t> file_bytes;
    for (const Json * row : rows)
        file_bytes[(*row)["quantization"]] = bytes_of(*row, "file_size_bytes");
    std::vector<const Json *> cells;
    for (const Json * cell : cells_of(summary, model)) {
        if (file_bytes.contains((*cell)["quantization"])) cells.push_back(cell);
    }
    findings.push_back({model, sweet_spot_finding(cells, file_bytes)});
}

void add_streaming_findings(const Json & summary, std::vector<Finding> & findings) {
    for (const Json & streaming : summary["streaming"]) {
        const Json & percent = streaming["total_percent"];
        if (percent.is_null() || percent["ci95_low"].is_null()) continue;
        const double low = number_of(percent, "ci95_low");
        const double high = number_of(percent, "ci95_high");
        const char * verdict = low > 0.0    ? "takes longer than not streaming"
                               : high < 0.0 ? "takes less time than not streaming"
                                            : "makes no difference that these runs can tell";
        findings.push_back(
            {streaming["model"], fmt::format("{}: streaming {}: {:+.1f}% of the total time, 95% interval "
                                             "{:+.1f}% to {:+.1f}%, over {} pairs.",
                                             cell_name(streaming), verdict, number_of(percent, "mean"), low, high,
                                             number_of(streaming, "n_pairs"))});
    }
}

void add_row_anomalies(const Json & row, std::vector<Finding> & found) {
    const std::string name = cell_name(row);
    const uint64_t baseline = bytes_of(row["baseline"], "vram_bytes");
    const uint64_t offload = bytes_of(row["offload"], "vram_bytes");
    const std::string model = row["model"];
    if (baseline == offload) {
        found.push_back({model, fmt::format("{}: VRAM is {} in both placements: nothing was offloaded.", name,
                                            format_bytes(baseline))});
    } else if (baseline < offload) {
        found.push_back({model, fmt::format("{}: needs more VRAM than its baseline ({} against {}).", name,
                                            format_bytes(offload), format_bytes(baseline))});
    }
    const double slowdown = number_of(row, "slowdown");
    if (slowdown < 1.0) {
        found.push_back({model, fmt::format("{}: the baseline is slower than offload, which decodes {:.2f} times as "
                                            "fast: nobody should see that on a GPU.",
                                            name, 1.0 / slowdown)});
    }
}

void add_cell_anomalies(const Json & cell, std::vector<Finding> & found) {
    const std::string name = fmt::format("{} ({})", cell_name(cell), mode_name(cell["mode"]));
    const std::string model = cell["model"];
    if (bytes_of(cell, "vram_bytes") == 0) found.push_back({model, fmt::format("{}: VRAM is 0.", name)});
    for (const Json & text : cell["texts"]) {
        if (text_of(text, "text").find_first_not_of(" \n\t") == std::string::npos)
            found.push_back({model, fmt::format("{}: the answer to '{}' is empty.", name, text_of(text, "prompt_id"))});
        if (text.value("n_distinct", 1) > 1) {
            found.push_back({model, fmt::format("{}: the answers to '{}' differ between repeats ({} texts).", name,
                                                text_of(text, "prompt_id"), text["n_distinct"].get<int>())});
        }
    }
    constexpr double MAX_SPREAD = 0.10;
    for (const auto & [figure_name, label] : {std::pair{"decode_tps", "decode rate"}, {"ttft_ms", "TTFT"}}) {
        const double spread = spread_of(cell, figure_name);
        if (spread > MAX_SPREAD)
            found.push_back(
                {model, fmt::format("{}: the {} spreads by {:.0f}% (standard deviation over mean, above 10%).", name,
                                    label, 100.0 * spread)});
    }
}

// Kernels that compute wrongly: above all others, as every figure of that placement is of another model.
void add_offload_defects(const Json & summary, const Quality & quality, std::vector<Finding> & found) {
    for (const Json & variant : summary["variants"]) {
        const Json * check = quality.offload_of(variant["model"], variant["quantization"]);
        if (check == nullptr || check->value("within_bound", false)) continue;
        found.push_back({variant["model"],
                         fmt::format("{} offload is DEFECTIVE: its predictions differ from the baseline's by a mean KL "
                                     "divergence of {:.2g}, and rounding explains {:.0g} at most: its kernels, or the "
                                     "baseline's, compute wrongly.",
                                     text_of(variant, "quantization"), number_of(*check, "mean_kld"),
                                     number_of(*check, "mean_kld_bound"))});
    }
}

}  // namespace

std::vector<Finding> find_findings(const Json & summary) {
    std::vector<Finding> findings;
    if (is_software(summary)) {
        findings.push_back({"",
                            "These runs used a software device: memory is as on a GPU of the same backend, speeds, "
                            "slowdowns and sweet spots are not."});
    }
    for (const Json & model : summary["models"])
        add_model_findings(summary, model["name"], findings);
    add_streaming_findings(summary, findings);
    return findings;
}

std::vector<Finding> find_anomalies(const Json & summary, const Quality & quality) {
    std::vector<Finding> found;
    add_offload_defects(summary, quality, found);
    for (const Json & row : summary["rows"])
        add_row_anomalies(row, found);
    for (const Json & cell : summary["cells"]) {
        if (cell.contains("vram_bytes")) add_cell_anomalies(cell, found);
    }
    for (const Json & streaming : summary["streaming"]) {
        const Json & sse = streaming["sse"];
        if (sse.value("n_defects", 0) == 0) continue;
        found.push_back(
            {streaming["model"], fmt::format("{}: {} defects in event streams, the first: {}.", cell_name(streaming),
                                             sse["n_defects"].get<int>(), text_or(sse, "first_defect", ""))});
    }
    for (const Json & load : summary["load"]) {
        if (load.value("n_failed_requests", 0) == 0) continue;
        found.push_back({load["model"], fmt::format("{}, {} clients: {} of {} requests failed.", cell_name(load),
                                                    load["n_clients"].get<int>(), load["n_failed_requests"].get<int>(),
                                                    load["n_requests"].get<int>())});
    }
    return found;
}

}  // namespace shimmy::report

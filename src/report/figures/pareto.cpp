#include "report/figures/pareto.h"

#include "base/units.h"
#include "report/text/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

namespace shimmy::report {

namespace {

constexpr std::array COSTS{Cost::file_size, Cost::vram, Cost::speed};
constexpr double RECOMMENDED_SHARE = 0.5;  // of the fastest decode rate that fits

double decode_rate(const Json & cell) {
    return number_of(cell["decode_tps"], "median");
}

std::optional<double> kld_of(const Quality & quality, const std::string & model, const Json & cell) {
    const Json * entry = quality.of(model, cell["quantization"]);
    return entry == nullptr ? std::nullopt : std::optional(number_of(*entry, "mean_kld"));
}

// Cells with runs and quality figures.
std::vector<const Json *> rated_cells(const Json & summary, const std::string & model, const Quality & quality) {
    std::vector<const Json *> cells = cells_of(summary, model);
    std::erase_if(cells, [&](const Json * cell) { return !kld_of(quality, model, *cell); });
    return cells;
}

bool dominates(const QualityPoint & a, const QualityPoint & b, bool more_is_better) {
    const double a_cost = more_is_better ? -a.value : a.value;
    const double b_cost = more_is_better ? -b.value : b.value;
    return a.mean_kld <= b.mean_kld && a_cost <= b_cost && (a.mean_kld < b.mean_kld || a_cost < b_cost);
}

std::vector<QualityPoint> file_points(const Json & summary, const std::string & model, const Quality & quality) {
    std::vector<QualityPoint> points;
    for (const Json & variant : summary["variants"]) {
        if (variant["model"] != model || !variant["file_size_bytes"].is_number()) continue;
        if (const auto kld = kld_of(quality, model, variant))
            points.push_back({variant["quantization"], "", *kld, number_of(variant, "file_size_bytes"), false});
    }
    return points;
}

bool is_on_front(const std::vector<QualityPoint> & points, const Json & cell) {
    return std::any_of(points.begin(), points.end(), [&](const QualityPoint & point) {
        const bool same = point.quantization == cell["quantization"] &&
                          (point.placement.empty() || point.placement == cell["placement"]);
        return same && point.on_front;
    });
}

}  // namespace

const char * to_string(Cost cost) {
    switch (cost) {
        case Cost::file_size:
            return "file size";
        case Cost::vram:
            return "VRAM";
        case Cost::speed:
            return "decode rate";
    }
    return "";  // there is no other
}

std::vector<QualityPoint> quality_points(const Json & summary, const std::string & model, const Quality & quality,
                                         Cost cost) {
    std::vector<QualityPoint> points;
    if (cost == Cost::file_size) {
        points = file_points(summary, model, quality);
    } else {
        for (const Json * cell : rated_cells(summary, model, quality)) {
            const double value = cost == Cost::vram ? number_of(*cell, "vram_bytes") : decode_rate(*cell);
            points.push_back(
                {(*cell)["quantization"], (*cell)["placement"], *kld_of(quality, model, *cell), value, false});
        }
    }
    for (QualityPoint & point : points) {
        point.on_front = std::none_of(points.begin(), points.end(), [&](const QualityPoint & other) {
            return dominates(other, point, cost == Cost::speed);
        });
    }
    return points;
}

std::string fronts_of(const Json & summary, const std::string & model, const Quality & quality,
                      const std::string & quantization) {
    std::string names;
    for (const Cost cost : COSTS) {
        const auto points = quality_points(summary, model, quality, cost);
        const bool found = std::any_of(points.begin(), points.end(), [&](const QualityPoint & point) {
            return point.quantization == quantization && point.on_front;
        });
        if (found) names += (names.empty() ? "" : ", ") + std::string(to_string(cost));
    }
    return names;
}

namespace {

// Of the first `n_fit` cells, those that fit.
const Json * recommended(const std::vector<const Json *> & cells, size_t n_fit, const std::string & model,
                         const Quality & quality) {
    double fastest = 0.0;
    for (size_t i = 0; i < n_fit; ++i)
        fastest = std::max(fastest, decode_rate(*cells[i]));
    const auto rank = [&](const Json * cell) { return std::pair(*kld_of(quality, model, *cell), -decode_rate(*cell)); };
    const Json * best = nullptr;
    for (size_t i = 0; i < n_fit; ++i) {
        if (decode_rate(*cells[i]) < RECOMMENDED_SHARE * fastest) continue;
        if (best == nullptr || rank(cells[i]) < rank(best)) best = cells[i];
    }
    return best;
}

std::string option_of(const std::string & placement) {
    if (placement == "offload") return "`--cpu-moe`";
    if (placement.starts_with("n_cpu_moe=")) return "`--n-cpu-moe " + placement.substr(10) + "`";
    return "none";
}

}  // namespace

std::vector<Recommendation> recommendations(const Json & summary, const std::string & model, const Quality & quality) {
    std::vector<const Json *> cells = rated_cells(summary, model, quality);
    std::stable_sort(cells.begin(), cells.end(), [](const Json * a, const Json * b) {
        return bytes_of(*a, "vram_bytes") < bytes_of(*b, "vram_bytes");
    });
    std::vector<Recommendation> found;
    const Json * last = nullptr;
    for (size_t n_fit = 1; n_fit <= cells.size(); ++n_fit) {
        const uint64_t vram_bytes = bytes_of(*cells[n_fit - 1], "vram_bytes");
        // Cells of the same VRAM come into reach together.
        if (n_fit < cells.size() && bytes_of(*cells[n_fit], "vram_bytes") == vram_bytes) continue;
        const Json * best = recommended(cells, n_fit, model, quality);
        if (best == last) continue;
        last = best;
        found.push_back({vram_bytes, text_of(*best, "quantization"), text_of(*best, "placement"),
                         *kld_of(quality, model, *best), decode_rate(*best)});
    }
    return found;
}

std::string sentence(const Recommendation & recommendation) {
    return fmt::format("from {} of VRAM: {} {}, mean KLD {:.5f}, {} tokens/s", format_bytes(recommendation.vram_bytes),
                       recommendation.quantization, recommendation.placement, recommendation.mean_kld,
                       figure(recommendation.decode_tps));
}

Table recommendation_table(const Json & summary, const std::string & model, const Quality & quality) {
    using Align = Table::Align;
    Table table;
    table.columns = {{"free VRAM,\nat least"},
                     {"take", Align::left},
                     {"placement option", Align::left},
                     {"mean KLD"},
                     {"decode,\ntok/s"}};
    for (const Recommendation & line : recommendations(summary, model, quality)) {
        table.rows.push_back({format_bytes(line.vram_bytes), "**" + line.quantization + "**", option_of(line.placement),
                              fmt::format("{:.5f}", line.mean_kld), figure(line.decode_tps)});
    }
    return table;
}

Table pareto_table(const Json & summary, const std::string & model, const Quality & quality) {
    using Align = Table::Align;
    Table table;
    table.columns = {{"type", Align::left},
                     {"placement", Align::left},
                     {"mean KLD"},
                     {"file"},
                     {"VRAM"},
                     {"decode,\ntok/s"},
                     {"best for its file size", Align::left},
                     {"for its VRAM", Align::left},
                     {"for its speed", Align::left}};
    std::array<std::vector<QualityPoint>, COSTS.size()> points;
    for (size_t i = 0; i < COSTS.size(); ++i)
        points[i] = quality_points(summary, model, quality, COSTS[i]);
    for (const Json * cell : rated_cells(summary, model, quality)) {
        const auto file = std::find_if(points[0].begin(), points[0].end(), [&](const QualityPoint & point) {
            return point.quantization == (*cell)["quantization"];
        });
        std::vector<std::string> line{text_of(*cell, "quantization"),
                                      text_of(*cell, "placement"),
                                      fmt::format("{:.5f}", *kld_of(quality, model, *cell)),
                                      file == points[0].end() ? "-" : format_bytes(static_cast<uint64_t>(file->value)),
                                      size(*cell, "vram_bytes"),
                                      figure(decode_rate(*cell))};
        for (const auto & of_cost : points)
            line.emplace_back(is_on_front(of_cost, *cell) ? "yes" : "");
        table.rows.push_back(std::move(line));
    }
    return table;
}

Json pareto_json(const Json & summary, const std::string & model, const Quality & quality) {
    Json result = Json::object();
    for (const Cost cost : COSTS) {
        Json points = Json::array();
        for (const QualityPoint & point : quality_points(summary, model, quality, cost)) {
            points.push_back({{"quantization", point.quantization},
                              {"placement", point.placement},
                              {"mean_kld", point.mean_kld},
                              {"value", point.value},
                              {"on_front", point.on_front}});
        }
        result[to_string(cost)] = points;
    }
    return result;
}

}  // namespace shimmy::report

#include "report/conclusions/offloading.h"

#include "base/text/units.h"
#include "report/figures/selection.h"
#include "report/text/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace shimmy::report {

namespace {

constexpr double CONSISTENT_POINTS = 5.0;  // percent of VRAM saved may differ by this much and still be called the same
constexpr double SWEET_SPOT_SHARE = 0.5;   // of the fastest decode rate that fits

using Rows = std::vector<const lab::Row *>;

Rows with_placement(const Rows & rows, engine::Placement placement) {
    Rows found;
    for (const lab::Row * row : rows) {
        if (row->placement == placement) found.push_back(row);
    }
    // Smallest file first: that is the order in which a quantization grows.
    std::stable_sort(found.begin(), found.end(),
                     [](const lab::Row * a, const lab::Row * b) { return a->file_size_bytes < b->file_size_bytes; });
    return found;
}

// For growing VRAM, the quantization with the most bits among the cells that fit and decode at least at half of the
// rate of the fastest that fits.
Json sweet_spots(std::vector<const lab::Cell *> cells, const std::map<std::string, uint64_t> & file_bytes) {
    std::stable_sort(cells.begin(), cells.end(), [](const lab::Cell * a, const lab::Cell * b) {
        return a->figures->vram_bytes < b->figures->vram_bytes;
    });
    Json list = Json::array();
    std::string last;
    for (size_t n_fit = 1; n_fit <= cells.size(); ++n_fit) {
        const auto rate = [](const lab::Cell * cell) { return cell->figures->decode_tps.median; };
        double fastest = 0.0;
        for (size_t i = 0; i < n_fit; ++i)
            fastest = std::max(fastest, rate(cells[i]));
        const lab::Cell * best = nullptr;
        for (size_t i = 0; i < n_fit; ++i) {
            if (rate(cells[i]) < SWEET_SPOT_SHARE * fastest) continue;
            const auto key = [&](const lab::Cell * cell) {
                return std::pair(file_bytes.at(cell->quantization), rate(cell));
            };
            if (best == nullptr || key(cells[i]) > key(best)) best = cells[i];
        }
        const std::string name = best->name();
        if (name == last) continue;
        list.push_back({{"vram", format_bytes(cells[n_fit - 1]->figures->vram_bytes)},
                        {"cell", name},
                        {"decode_tps", figure(rate(best))}});
        last = name;
    }
    return list;
}

const lab::Cell * cell_of(const lab::Summary & summary, const lab::Row & row, engine::Placement placement) {
    for (const lab::Cell * cell : cells_of(summary, row.model)) {
        if (cell->quantization == row.quantization && cell->placement == placement) return cell;
    }
    return nullptr;
}

Slowdown slowdown_of(const lab::Summary & summary, const lab::Row & row) {
    Slowdown slowdown{row.quantization, row.slowdown()};
    const lab::Cell * baseline = cell_of(summary, row, engine::Placement::baseline());
    const lab::Cell * offload = cell_of(summary, row, row.placement);
    if (baseline == nullptr || offload == nullptr) return slowdown;
    std::map<std::pair<std::string, int>, double> rates;
    for (const lab::Sample & sample : offload->samples)
        rates[{sample.prompt_id, sample.repeat}] = sample.decode_tps;
    std::vector<double> ratios;
    for (const lab::Sample & sample : baseline->samples) {
        const auto same = rates.find({sample.prompt_id, sample.repeat});
        if (same != rates.end()) ratios.push_back(sample.decode_tps / same->second);
    }
    const lab::Change change = lab::change_of(ratios);
    if (!change.low) return slowdown;
    const auto factor = [](double percent) { return 1.0 + percent / 100.0; };
    return {row.quantization, factor(change.mean), factor(*change.low), factor(*change.high), true};
}

}  // namespace

std::vector<engine::Placement> offloading_placements(const lab::Summary & summary, const std::string & model) {
    std::vector<engine::Placement> placements;
    for (const lab::Row * row : rows_of(summary, model)) {
        if (std::find(placements.begin(), placements.end(), row->placement) == placements.end())
            placements.push_back(row->placement);
    }
    return placements;
}

std::vector<Slowdown> slowdowns(const lab::Summary & summary, const std::string & model, engine::Placement placement) {
    std::vector<const lab::Row *> rows = rows_of(summary, model);
    std::erase_if(rows, [&](const lab::Row * row) { return row->placement != placement; });
    std::stable_sort(rows.begin(), rows.end(),
                     [](const lab::Row * a, const lab::Row * b) { return a->file_size_bytes < b->file_size_bytes; });
    std::vector<Slowdown> all;
    for (const lab::Row * row : rows)
        all.push_back(slowdown_of(summary, *row));
    return all;
}

Finding slowdown_finding(const lab::Summary & summary, const std::string & model, engine::Placement placement) {
    const std::vector<Slowdown> all = slowdowns(summary, model, placement);
    Json list = Json::array();
    bool rising = true;
    bool falling = true;
    bool known = true;
    for (size_t i = 0; i < all.size(); ++i) {
        const Slowdown & one = all[i];
        const auto bound = [&](double value) { return one.has_interval ? fmt::format("{:.2f}", value) : ""; };
        list.push_back({{"type", one.quantization},
                        {"factor", fmt::format("{:.2f}", one.mean)},
                        {"low", bound(one.low)},
                        {"high", bound(one.high)}});
        known = known && one.has_interval;
        if (i == 0) continue;
        rising = rising && one.low > all[i - 1].high;
        falling = falling && one.high < all[i - 1].low;
    }
    const char * trend = !known ? "unknown" : rising ? "rising" : falling ? "falling" : "none";
    return {
        model, "slowdown", {{"placement", engine::to_string(placement)}, {"trend", trend}, {"list", std::move(list)}}};
}

Finding reduction_finding(const lab::Summary & summary, const std::string & model, engine::Placement placement) {
    const Rows rows = with_placement(rows_of(summary, model), placement);
    const auto [least, most] = std::minmax_element(
        rows.begin(), rows.end(),
        [](const lab::Row * a, const lab::Row * b) { return a->saved_percent() < b->saved_percent(); });
    const auto part = [](const lab::Row * row) {
        return Json{{"percent", fmt::format("{:.1f}", row->saved_percent())}, {"type", row->quantization}};
    };
    return {model,
            "reduction",
            {{"placement", engine::to_string(placement)},
             {"n", rows.size()},
             {"alike", (*most)->saved_percent() - (*least)->saved_percent() <= CONSISTENT_POINTS},
             {"least", part(*least)},
             {"most", part(*most)}}};
}

Finding sweet_spot_finding(const lab::Summary & summary, const std::string & model) {
    std::map<std::string, uint64_t> file_bytes;
    for (const lab::Row * row : rows_of(summary, model))
        file_bytes[row->quantization] = row->file_size_bytes;
    std::vector<const lab::Cell *> cells;
    for (const lab::Cell * cell : cells_of(summary, model)) {
        if (file_bytes.contains(cell->quantization)) cells.push_back(cell);
    }
    return {model, "sweet_spot", {{"list", sweet_spots(cells, file_bytes)}}};
}

}  // namespace shimmy::report

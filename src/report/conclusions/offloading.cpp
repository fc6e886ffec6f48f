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

std::string reduction_finding(const Rows & rows, const std::string & placement) {
    const auto by_saving = [](const lab::Row * a, const lab::Row * b) {
        return a->saved_percent() < b->saved_percent();
    };
    const auto [least, most] = std::minmax_element(rows.begin(), rows.end(), by_saving);
    const double low = (*least)->saved_percent();
    const double high = (*most)->saved_percent();
    if (rows.size() == 1)
        return fmt::format("{} saves {:.1f}% of the VRAM of {}.", placement, low, (*least)->quantization);
    const std::string range =
        fmt::format("from {:.1f}% ({}) to {:.1f}% ({})", low, (*least)->quantization, high, (*most)->quantization);
    return high - low <= CONSISTENT_POINTS
               ? fmt::format("The share of VRAM that {} saves is about the same in every quantization: {}.", placement,
                             range)
               : fmt::format("The share of VRAM that {} saves depends on the quantization: {}.", placement, range);
}

// For growing VRAM, the quantization with the most bits among the cells that fit and decode at least at half of the
// rate of the fastest that fits.
std::string sweet_spot_finding(std::vector<const lab::Cell *> cells,
                               const std::map<std::string, uint64_t> & file_bytes) {
    std::stable_sort(cells.begin(), cells.end(), [](const lab::Cell * a, const lab::Cell * b) {
        return a->figures->vram_bytes < b->figures->vram_bytes;
    });
    std::string list;
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
        list += fmt::format("{}from {} of VRAM {} ({} tokens/s)", list.empty() ? "" : ", ",
                            format_bytes(cells[n_fit - 1]->figures->vram_bytes), name, figure(rate(best)));
        last = name;
    }
    return fmt::format(
        "Sweet spot, the most bits per weight at no less than half the speed of the fastest that fits: {}.", list);
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

std::string Slowdown::text() const {
    return has_interval ? fmt::format("{} {:.2f}x [{:.2f}, {:.2f}]", quantization, mean, low, high)
                        : fmt::format("{} {:.2f}x", quantization, mean);
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

std::string slowdown_sentence(const std::vector<Slowdown> & all, const std::string & placement) {
    std::string list;
    bool rising = true;
    bool falling = true;
    bool known = true;
    for (size_t i = 0; i < all.size(); ++i) {
        list += (i == 0 ? "" : ", ") + all[i].text();
        known = known && all[i].has_interval;
        if (i == 0) continue;
        rising = rising && all[i].low > all[i - 1].high;
        falling = falling && all[i].high < all[i - 1].low;
    }
    if (all.size() < 2) return fmt::format("With {} decoding is slower by {}.", placement, list);
    const char * trend = !known    ? "has no interval, so no trend is named"
                         : rising  ? "grows with the size of the quantization"
                         : falling ? "shrinks as the quantization grows"
                                   : "follows no trend that these runs can tell";
    return fmt::format("The slowdown of decoding with {} {}: {}.", placement, trend, list);
}

std::string reduction_sentence(const lab::Summary & summary, const std::string & model, engine::Placement placement) {
    return reduction_finding(with_placement(rows_of(summary, model), placement), engine::to_string(placement));
}

std::string sweet_spot_sentence(const lab::Summary & summary, const std::string & model) {
    std::map<std::string, uint64_t> file_bytes;
    for (const lab::Row * row : rows_of(summary, model))
        file_bytes[row->quantization] = row->file_size_bytes;
    std::vector<const lab::Cell *> cells;
    for (const lab::Cell * cell : cells_of(summary, model)) {
        if (file_bytes.contains(cell->quantization)) cells.push_back(cell);
    }
    return sweet_spot_finding(cells, file_bytes);
}

}  // namespace shimmy::report

#include "report/figures/hardware.h"

#include "base/text/units.h"
#include "report/figures/selection.h"
#include "report/text/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace shimmy::report {

namespace {

constexpr std::array<uint64_t, 6> CARDS_GIB{8, 12, 16, 24, 48, 80};

const lab::Cell * fastest_that_fits(const std::vector<const lab::Cell *> & cells, const std::string & quantization,
                                    uint64_t card_bytes) {
    const lab::Cell * best = nullptr;
    for (const lab::Cell * cell : cells) {
        if (cell->quantization != quantization || cell->figures->vram_bytes > card_bytes) continue;
        if (best == nullptr || cell->figures->decode_tps.median > best->figures->decode_tps.median) best = cell;
    }
    return best;
}

}  // namespace

Table hardware_table(const lab::Summary & summary, const std::string & model) {
    using Align = Table::Align;
    const auto cells = cells_of(summary, model);
    Table table;
    table.columns = {{"type", Align::left}};
    for (const uint64_t gib : CARDS_GIB)
        table.columns.push_back({fmt::format("{} GiB", gib), Align::left});
    std::vector<std::string> types;
    for (const lab::Cell * cell : cells) {
        if (std::find(types.begin(), types.end(), cell->quantization) == types.end())
            types.push_back(cell->quantization);
    }
    for (const std::string & type : types) {
        std::vector<std::string> line{type};
        for (const uint64_t gib : CARDS_GIB) {
            const lab::Cell * cell = fastest_that_fits(cells, type, gib * GIB);
            line.push_back(cell == nullptr ? "does not fit"
                                           : fmt::format("{}\n{} tok/s", engine::to_string(cell->placement),
                                                         figure(cell->figures->decode_tps.median)));
        }
        table.rows.push_back(std::move(line));
    }
    return table;
}

}  // namespace shimmy::report

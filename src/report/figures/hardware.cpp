#include "report/figures/hardware.h"

#include "base/error.h"
#include "base/text/units.h"
#include "engine/predict/card_fit.h"
#include "report/figures/selection.h"
#include "report/text/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace shimmy::report {

namespace {

Table with_card_columns() {
    Table table;
    table.columns = {{"type", Table::Align::left}};
    for (const uint64_t gib : engine::CARD_SIZES_GIB)
        table.columns.push_back({fmt::format("{} GiB", gib), Table::Align::left});
    return table;
}

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
    const auto cells = cells_of(summary, model);
    Table table = with_card_columns();
    std::vector<std::string> types;
    for (const lab::Cell * cell : cells) {
        if (std::find(types.begin(), types.end(), cell->quantization) == types.end())
            types.push_back(cell->quantization);
    }
    for (const std::string & type : types) {
        std::vector<std::string> line{type};
        for (const uint64_t gib : engine::CARD_SIZES_GIB) {
            const lab::Cell * cell = fastest_that_fits(cells, type, gib * GIB);
            line.push_back(cell == nullptr ? "does not fit"
                                           : fmt::format("{}\n{} tok/s", engine::to_string(cell->placement),
                                                         figure(cell->figures->decode_tps.median)));
        }
        table.rows.push_back(std::move(line));
    }
    return table;
}

std::string card_text(const Json & card) {
    if (!card.at("fits").get<bool>()) return "-";
    const int n_cpu_moe = card.at("n_cpu_moe");
    if (n_cpu_moe == 0) return "fits whole";
    const std::string ram = format_bytes(card.at("host_bytes").get<uint64_t>());
    if (card.at("placement") == engine::to_string(engine::Placement::offload()))
        return fmt::format("--cpu-moe\n{} RAM", ram);
    return fmt::format("--n-cpu-moe {}\n{} RAM", n_cpu_moe, ram);
}

std::map<std::string, PredictedCards> read_predicted_cards(const lab::Summary & summary, const fs::path & out_dir) {
    std::map<std::string, PredictedCards> predicted;
    for (const lab::CampaignModel & model : summary.campaign.models) {
        const fs::path file = out_dir / "hardware" / (model.name + ".json");
        if (!fs::exists(file)) continue;
        try {
            const Json document = read_json(file);
            PredictedCards cards{document.at("n_ctx"), with_card_columns()};
            for (const Json & entry : document.at("files")) {
                if (!entry.contains("cards")) continue;  // why is in `error`
                std::vector<std::string> line{entry.at("quantization")};
                for (const Json & card : entry.at("cards"))
                    line.push_back(card_text(card));
                if (line.size() != cards.table.columns.size()) fail("{} cards", line.size() - 1);
                cards.table.rows.push_back(std::move(line));
            }
            if (!cards.table.rows.empty()) predicted.emplace(model.name, std::move(cards));
        } catch (const std::exception & error) {
            fail("{} is damaged ({}): delete it, and `shimmy lab run` makes it again", file.string(), error.what());
        }
    }
    return predicted;
}

}  // namespace shimmy::report

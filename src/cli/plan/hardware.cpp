#include "cli/plan/hardware.h"

#include "base/json.h"
#include "base/process/progress.h"
#include "base/text/units.h"
#include "cli/plan/plan_document.h"
#include "engine/layout/stand_in.h"
#include "engine/predict/card_fit.h"
#include "engine/predict/placement_plan.h"
#include "report/figures/hardware.h"
#include "report/text/table.h"

#include <fmt/format.h>

#include <limits>

namespace shimmy::cli {

namespace {

struct Line {
    std::string model;
    std::string quantization;
    uint64_t disk_bytes = 0;
    std::vector<engine::PlacementEstimate> placements;
};

Line make_line(const gguf::Shape & shape, const std::string & quantization, engine::LoadOptions load) {
    const engine::StandIn model(shape, quantization);
    load.path = model.path().string();
    load.name = shape.name;
    const engine::BandwidthRange unused{1.0, 1.0, ""};  // the guide shows no rates
    return {shape.name, model.quantization(), model.size_bytes(),
            engine::estimate_placements(load, unused, unused, engine::gpus_in_use(load.device))};
}

std::vector<Line> make_lines(const HardwareOptions & options, bool quiet) {
    std::vector<std::pair<gguf::Shape, std::string>> models;
    for (const std::string & name : options.shapes) {
        const gguf::Shape shape = gguf::load_shape(name);
        if (shape.quantization == "MXFP4_MOE") {  // published quantized
            models.emplace_back(shape, shape.quantization);
            continue;
        }
        for (const char * type : QUANTIZATIONS)
            models.emplace_back(shape, type);
    }
    Progress progress("planning", quiet);
    std::vector<Line> lines;
    for (const auto & [shape, quantization] : models) {
        lines.push_back(make_line(shape, quantization, options.load));
        progress.update(lines.size(), models.size());
    }
    return lines;
}

uint64_t ram_limit(const HardwareOptions & options) {
    return options.ram_limit_bytes > 0 ? options.ram_limit_bytes : std::numeric_limits<uint64_t>::max();
}

Json cards_of(const Line & line, const HardwareOptions & options) {
    Json cards = Json::array();
    for (const engine::CardFit & fit :
         engine::fit_cards(line.placements, ram_limit(options), options.vram_reserve_bytes))
        cards.push_back(engine::to_json(fit));
    return cards;
}

Json document(const std::vector<Line> & lines, const HardwareOptions & options) {
    Json rows = Json::array();
    for (const Line & line : lines) {
        rows.push_back({{"model", line.model},
                        {"quantization", line.quantization},
                        {"disk_bytes", line.disk_bytes},
                        {"baseline_vram_bytes", line.placements.front().vram.total_bytes()},
                        {"min_vram_bytes", line.placements.back().vram.total_bytes()},
                        {"cards", cards_of(line, options)}});
    }
    return {{"n_ctx", options.load.n_ctx == 0 ? Json(nullptr) : Json(options.load.n_ctx)},
            {"vram_method", options.exact ? "exact" : "modelled"},
            {"vram_method_note", method_note(options.exact, options.device_name)},
            {"ram_limit_bytes", options.ram_limit_bytes == 0 ? Json(nullptr) : Json(options.ram_limit_bytes)},
            {"rows", rows}};
}

report::Table table_of(const std::vector<Line> & lines, const HardwareOptions & options) {
    using Align = report::Table::Align;
    report::Table table;
    table.columns = {{"model", Align::left}, {"type", Align::left}, {"file", Align::right}};
    for (const uint64_t gib : engine::CARD_SIZES_GIB)
        table.columns.push_back({fmt::format("{} GiB", gib), Align::left});
    for (const Line & line : lines) {
        std::vector<std::string> cells{line.model, line.quantization, format_bytes(line.disk_bytes)};
        for (const Json & card : cards_of(line, options))
            cells.push_back(report::card_text(card));
        table.rows.push_back(std::move(cells));
    }
    return table;
}

}  // namespace

int print_hardware_guide(const HardwareOptions & options, bool json) {
    const std::vector<Line> lines = make_lines(options, json);
    if (json) {
        fmt::print("{}\n", json_text(document(lines, options)));
        return 0;
    }
    fmt::print(
        "{}\nPredicted. Each cell: the placement that keeps the most experts on a card of that size, and the RAM it "
        "takes.\n"
        "Of every card, {} is kept free (--reserve). Context {}. VRAM is {}.\n",
        table_of(lines, options).text(),
        options.vram_reserve_bytes ? format_bytes(*options.vram_reserve_bytes) : "512 MiB, or 5% if that is more,",
        options.load.n_ctx == 0 ? "4096, or the model's if that is less" : fmt::format("{}", options.load.n_ctx),
        method_note(options.exact, options.device_name));
    return 0;
}

}  // namespace shimmy::cli

#include "cli/plan/hardware.h"

#include "base/json.h"
#include "base/process/progress.h"
#include "base/text/units.h"
#include "cli/plan/plan_document.h"
#include "engine/layout/stand_in.h"
#include "engine/load/placement.h"
#include "engine/predict/placement_plan.h"
#include "engine/predict/shortage.h"
#include "report/text/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

namespace shimmy::cli {

namespace {

constexpr std::array<uint64_t, 6> CARDS_GIB{8, 12, 16, 24, 48, 80};

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

const engine::PlacementEstimate * best_on(const Line & line, uint64_t card_bytes, const HardwareOptions & options) {
    const uint64_t reserve = options.vram_reserve_bytes.value_or(engine::margin_bytes(card_bytes));
    return engine::best_fit(line.placements, {card_bytes - std::min(card_bytes, reserve)}, ram_limit(options));
}

Json card_json(const Line & line, uint64_t card_bytes, const HardwareOptions & options) {
    const engine::PlacementEstimate * best = best_on(line, card_bytes, options);
    Json card{{"card_bytes", card_bytes}, {"fits", best != nullptr}};
    if (best != nullptr) {
        card["placement"] = engine::to_string(best->placement);
        card["n_cpu_moe"] = best->n_cpu_moe;
        card["vram_bytes"] = best->vram.total_bytes();
        card["host_bytes"] = best->host.total_bytes();
    }
    return card;
}

Json document(const std::vector<Line> & lines, const HardwareOptions & options) {
    Json rows = Json::array();
    for (const Line & line : lines) {
        Json cards = Json::array();
        for (const uint64_t gib : CARDS_GIB)
            cards.push_back(card_json(line, gib * GIB, options));
        rows.push_back({{"model", line.model},
                        {"quantization", line.quantization},
                        {"disk_bytes", line.disk_bytes},
                        {"baseline_vram_bytes", line.placements.front().vram.total_bytes()},
                        {"min_vram_bytes", line.placements.back().vram.total_bytes()},
                        {"cards", cards}});
    }
    return {{"n_ctx", options.load.n_ctx == 0 ? Json(nullptr) : Json(options.load.n_ctx)},
            {"vram_method", options.exact ? "exact" : "modelled"},
            {"vram_method_note", method_note(options.exact, options.device_name)},
            {"ram_limit_bytes", options.ram_limit_bytes == 0 ? Json(nullptr) : Json(options.ram_limit_bytes)},
            {"rows", rows}};
}

std::string card_text(const Line & line, uint64_t card_bytes, const HardwareOptions & options) {
    const engine::PlacementEstimate * best = best_on(line, card_bytes, options);
    if (best == nullptr) return "-";
    if (best->n_cpu_moe == 0) return "fits whole";
    const std::string ram = format_bytes(best->host.total_bytes());
    if (best->placement == engine::Placement::offload()) return fmt::format("--cpu-moe\n{} RAM", ram);
    return fmt::format("--n-cpu-moe {}\n{} RAM", best->n_cpu_moe, ram);
}

report::Table table_of(const std::vector<Line> & lines, const HardwareOptions & options) {
    using Align = report::Table::Align;
    report::Table table;
    table.columns = {{"model", Align::left}, {"type", Align::left}, {"file", Align::right}};
    for (const uint64_t gib : CARDS_GIB)
        table.columns.push_back({fmt::format("{} GiB", gib), Align::left});
    for (const Line & line : lines) {
        std::vector<std::string> cells{line.model, line.quantization, format_bytes(line.disk_bytes)};
        for (const uint64_t gib : CARDS_GIB)
            cells.push_back(card_text(line, gib * GIB, options));
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

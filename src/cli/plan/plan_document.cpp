#include "cli/plan/plan_document.h"

#include "base/text/units.h"
#include "report/text/table.h"

#include <fmt/format.h>

#include <algorithm>

namespace shimmy::cli {

namespace {

std::string rate_text(const engine::RateRange & rate) {
    return rate.high_tps >= 10.0 ? fmt::format("{:.0f}–{:.0f}", rate.low_tps, rate.high_tps)
                                 : fmt::format("{:.1f}–{:.1f}", rate.low_tps, rate.high_tps);
}

std::string bandwidth_text(const engine::BandwidthRange & bandwidth) {
    constexpr double GB = 1e9;
    if (bandwidth.low == bandwidth.high) return fmt::format("{:.0f} GB/s ({})", bandwidth.high / GB, bandwidth.source);
    return fmt::format("{:.0f} to {:.0f} GB/s ({})", bandwidth.low / GB, bandwidth.high / GB, bandwidth.source);
}

Json to_json(const engine::BandwidthRange & bandwidth) {
    return {{"low_bytes_per_s", bandwidth.low}, {"high_bytes_per_s", bandwidth.high}, {"source", bandwidth.source}};
}

template <typename T>
Json optional_json(const std::optional<T> & value) {
    return value ? Json(*value) : Json(nullptr);
}

Json cards_json(const Plan & plan, const engine::PlacementEstimate & estimate) {
    Json cards = Json::array();
    for (size_t i = 0; i < estimate.cards.size(); ++i)
        cards.push_back({{"device", plan.limits.cards.at(i).name}, {"vram_bytes", estimate.cards[i].total_bytes()}});
    return cards;
}

Json placement_json(const Plan & plan, const engine::PlacementEstimate & estimate) {
    Json document{{"placement", engine::to_string(estimate.placement)},
                  {"n_cpu_moe", estimate.n_cpu_moe},
                  {"vram_bytes", estimate.vram.total_bytes()},
                  {"model_bytes", estimate.vram.model_bytes},
                  {"context_bytes", estimate.vram.context_bytes},
                  {"compute_bytes", estimate.vram.compute_bytes},
                  {"expert_cache_bytes", optional_json(plan.expert_cache_bytes(estimate))},
                  {"host_bytes", estimate.host.total_bytes()},
                  {"decode_tps_low", estimate.decode.low_tps},
                  {"decode_tps_high", estimate.decode.high_tps},
                  {"fits", optional_json(plan.fits(estimate))}};
    if (estimate.cards.size() > 1) document["cards"] = cards_json(plan, estimate);
    return document;
}

// The best with two on either side, and both ends; where there is no best, some between the ends. True: shown.
std::vector<bool> worth_showing(const Plan & plan, bool all) {
    constexpr size_t AROUND = 2;
    constexpr size_t WITHOUT_BEST = 5;
    const size_t n = plan.placements.size();
    std::vector<bool> shown(n, all);
    if (n == 0) return shown;
    shown.front() = shown.back() = true;
    if (const engine::PlacementEstimate * best = plan.best(); best != nullptr) {
        const auto at = static_cast<size_t>(best - plan.placements.data());
        for (size_t i = at - std::min(at, AROUND); i <= std::min(at + AROUND, n - 1); ++i)
            shown[i] = true;
    } else {
        for (size_t i = 0; i < WITHOUT_BEST; ++i)
            shown[i * (n - 1) / (WITHOUT_BEST - 1)] = true;
    }
    return shown;
}

bool has_expert_cache(const Plan & plan) {
    return std::any_of(plan.placements.begin(), plan.placements.end(),
                       [&](const auto & estimate) { return plan.expert_cache_bytes(estimate).value_or(0) > 0; });
}

std::string cache_text(const Plan & plan, const engine::PlacementEstimate & estimate) {
    const uint64_t bytes = plan.expert_cache_bytes(estimate).value_or(0);
    return bytes > 0 ? "+ " + format_bytes(bytes) : "-";
}

report::Table placement_table(const Plan & plan, const std::vector<bool> & shown) {
    using Align = report::Table::Align;
    report::Table table;
    table.columns = {{"placement", Align::left},
                     {"VRAM", Align::right},
                     {"model", Align::right},
                     {"KV cache", Align::right},
                     {"compute", Align::right}};
    const bool caches = has_expert_cache(plan);
    if (caches) table.columns.push_back({"expert cache\n(at most)", Align::right});
    table.columns.push_back({"RAM", Align::right});
    table.columns.push_back({"decode, tok/s\n(predicted)", Align::right});
    const bool several = plan.limits.cards.size() > 1;
    for (const PlannedCard & card : several ? plan.limits.cards : std::vector<PlannedCard>{})
        table.columns.push_back({card.name, Align::right});
    if (!plan.limits.cards.empty()) table.columns.push_back({"fits", Align::left});
    for (size_t i = 0; i < plan.placements.size(); ++i) {
        if (!shown[i]) continue;
        const engine::PlacementEstimate & estimate = plan.placements[i];
        std::vector<std::string> cells{engine::to_string(estimate.placement), format_bytes(estimate.vram.total_bytes()),
                                       format_bytes(estimate.vram.model_bytes),
                                       format_bytes(estimate.vram.context_bytes),
                                       format_bytes(estimate.vram.compute_bytes)};
        if (caches) cells.push_back(cache_text(plan, estimate));
        cells.push_back(format_bytes(estimate.host.total_bytes()));
        cells.push_back(rate_text(estimate.decode));
        for (const engine::BufferMemory & card : several ? estimate.cards : std::vector<engine::BufferMemory>{})
            cells.push_back(format_bytes(card.total_bytes()));
        if (const auto fits = plan.fits(estimate)) cells.emplace_back(*fits ? "yes" : "no");
        table.rows.push_back(std::move(cells));
    }
    return table;
}

report::Table quantization_table(const Plan & plan) {
    using Align = report::Table::Align;
    report::Table table;
    table.columns = {{"type", Align::left},
                     {"file", Align::right},
                     {"VRAM,\nbaseline", Align::right},
                     {"minimum VRAM\n(offload)", Align::right},
                     {"RAM\nthen", Align::right}};
    for (const QuantizationNeed & need : plan.quantizations) {
        table.rows.push_back({need.quantization, format_bytes(need.disk_bytes), format_bytes(need.baseline_vram_bytes),
                              format_bytes(need.min_vram_bytes), format_bytes(need.min_vram_host_bytes)});
    }
    return table;
}

Json disk_json(const Plan & plan) {
    if (!plan.disk) return nullptr;
    const engine::DiskPlan & disk = *plan.disk;
    const auto rate = [&](double engine::RateRange::*end) {
        return disk.decode ? Json((*disk.decode).*end) : Json(nullptr);
    };
    return {{"expert_ram_bytes", disk.expert_ram_bytes},
            {"expert_bytes", disk.expert_bytes},
            {"token_bytes_low", disk.token_bytes_low},
            {"token_bytes_high", disk.token_bytes_high},
            {"disk_bytes_per_s", plan.disk_bytes_per_s ? Json(*plan.disk_bytes_per_s) : Json(nullptr)},
            {"decode_tps_low", rate(&engine::RateRange::low_tps)},
            {"decode_tps_high", rate(&engine::RateRange::high_tps)}};
}

std::string disk_text(const Plan & plan) {
    const engine::DiskPlan & disk = *plan.disk;
    std::string text = fmt::format(
        "larger than RAM: with offload, {} of {} of experts stay in RAM, and a token reads {} (uneven routing) to {} "
        "(even) from disk",
        format_bytes(disk.expert_ram_bytes), format_bytes(disk.expert_bytes), format_bytes(disk.token_bytes_low),
        format_bytes(disk.token_bytes_high));
    if (!disk.decode) return text + " (--disk 3GB/s adds a decode rate)\n";
    return text + fmt::format(": {} tokens/s at {:.1f} GB/s (predicted)\n", rate_text(*disk.decode),
                              *plan.disk_bytes_per_s / 1e9);
}

Json limits_json(const Limits & limits) {
    Json cards = Json::array();
    for (const PlannedCard & card : limits.cards)
        cards.push_back({{"device", card.name},
                         {"vram_limit_bytes", card.limit_bytes},
                         {"vram_reserve_bytes", card.reserve_bytes}});
    return cards;
}

std::string excess(uint64_t needed, uint64_t limit, const std::string & what) {
    return fmt::format("{} of {}, {} too much", format_bytes(needed), what, format_bytes(needed - limit));
}

// What of a placement goes beyond its limits.
std::string excess_of(const Plan & plan, const engine::PlacementEstimate & estimate) {
    const std::vector<PlannedCard> & cards = plan.limits.cards;
    for (size_t i = 0; i < estimate.cards.size(); ++i) {
        const uint64_t bytes = estimate.cards[i].total_bytes();
        const std::string what = cards.size() > 1 ? "VRAM on " + cards.at(i).name : "VRAM";
        if (bytes > cards.at(i).usable_bytes()) return excess(bytes, cards[i].usable_bytes(), what);
    }
    return excess(estimate.host.total_bytes(), plan.limits.ram_bytes, "RAM");
}

}  // namespace

std::string method_note(bool exact, const std::string & device_name) {
    if (exact) return fmt::format("exact for {}: llama.cpp's own load of the model, without allocating", device_name);
    return "modelled: no GPU is loaded here, so llama.cpp laid the model out for a device that follows CUDA's rules; "
           "weights and KV cache are exact, the compute buffer leaves out what CUDA keeps for fused kernels, and the "
           "driver's own memory (some hundred MiB) comes on top";
}

std::optional<bool> Plan::fits(const engine::PlacementEstimate & estimate) const {
    if (limits.cards.empty()) return std::nullopt;
    return engine::fits(estimate, limits.usable_card_bytes(), limits.ram_bytes);
}

std::optional<uint64_t> Plan::expert_cache_bytes(const engine::PlacementEstimate & estimate) const {
    if (limits.cards.empty()) return std::nullopt;
    if (estimate.placement != engine::Placement::offload()) return 0;
    uint64_t left = 0;
    for (size_t i = 0; i < estimate.cards.size(); ++i) {
        const uint64_t usable = limits.cards.at(i).usable_bytes();
        left += usable - std::min(usable, estimate.cards[i].total_bytes());
    }
    return std::min(left, info.expert_bytes);
}

const engine::PlacementEstimate * Plan::best() const {
    if (limits.cards.empty()) return nullptr;
    return engine::best_fit(placements, limits.usable_card_bytes(), limits.ram_bytes);
}

std::string Plan::why() const {
    if (limits.cards.empty()) return "no card is known: name it with --card, or its memory with --vram";
    const engine::PlacementEstimate * choice = best();
    if (choice == nullptr) {
        return fmt::format("nothing fits: even {} needs {}; use a smaller quantization or a smaller --ctx",
                           engine::to_string(placements.back().placement), excess_of(*this, placements.back()));
    }
    const char * card = limits.cards.size() > 1 ? "cards" : "card";
    if (choice->n_cpu_moe == 0) return fmt::format("everything fits on the {}, and that is the fastest", card);
    const engine::PlacementEstimate & before = *(choice - 1);
    return fmt::format("it keeps the most experts on the {}, {} of {} layers on the CPU: {} would need {}", card,
                       choice->n_cpu_moe, info.n_layers, engine::to_string(before.placement), excess_of(*this, before));
}

Json to_json(const Plan & plan) {
    Json placements = Json::array();
    for (const engine::PlacementEstimate & estimate : plan.placements)
        placements.push_back(placement_json(plan, estimate));
    Json quantizations = Json::array();
    for (const QuantizationNeed & need : plan.quantizations) {
        quantizations.push_back({{"quantization", need.quantization},
                                 {"disk_bytes", need.disk_bytes},
                                 {"baseline_vram_bytes", need.baseline_vram_bytes},
                                 {"min_vram_bytes", need.min_vram_bytes},
                                 {"host_bytes", need.min_vram_host_bytes}});
    }
    const engine::PlacementEstimate * best = plan.best();
    const Limits & limits = plan.limits;
    return {{"model",
             {{"source", plan.source},
              {"name", plan.info.name},
              {"arch", plan.info.arch},
              {"quantization", plan.quantization},
              {"n_params", plan.info.n_params},
              {"n_layers", plan.info.n_layers},
              {"n_expert", plan.info.n_expert},
              {"n_expert_used", plan.info.n_expert_used}}},
            {"disk_bytes", plan.disk_bytes},
            {"fetched_bytes", plan.fetched_bytes},
            {"n_ctx", plan.n_ctx},
            {"vram_method", limits.exact ? "exact" : "modelled"},
            {"vram_method_note", method_note(limits.exact, limits.device_name)},
            {"vram_limit_bytes", limits.cards.empty() ? Json(nullptr) : Json(limits.vram_bytes())},
            {"vram_reserve_bytes", limits.cards.empty() ? Json(nullptr) : Json(limits.reserve_bytes())},
            {"cards", limits_json(limits)},
            {"ram_limit_bytes", limits.ram_bytes},
            {"ram_bandwidth", to_json(limits.ram)},
            {"vram_bandwidth", to_json(limits.vram)},
            {"placements", placements},
            {"disk", disk_json(plan)},
            {"best", best == nullptr ? Json(nullptr) : placement_json(plan, *best)},
            {"why", plan.why()},
            {"quantizations", quantizations}};
}

namespace {

std::string answer_text(const Plan & plan) {
    const engine::PlacementEstimate * best = plan.best();
    if (best == nullptr) return plan.why() + "\n";
    return fmt::format("best: {} (--placement {}): {} of VRAM, {} of RAM, {} tokens/s (predicted)\n      {}\n",
                       engine::to_string(best->placement), engine::to_text(best->placement),
                       format_bytes(best->vram.total_bytes()), format_bytes(best->host.total_bytes()),
                       rate_text(best->decode), plan.why());
}

// Where the figures come from.
std::string method_text(const Plan & plan) {
    const Limits & limits = plan.limits;
    std::string out;
    for (const PlannedCard & card : limits.cards)
        out += fmt::format("{}: {} ({}), {} of it kept free (--reserve)\n", card.name, format_bytes(card.limit_bytes),
                           limits.card_source, format_bytes(card.reserve_bytes));
    out += fmt::format("RAM: {} ({})\n", format_bytes(limits.ram_bytes), limits.ram_source);
    out += fmt::format("VRAM is {}\n", method_note(limits.exact, limits.device_name));
    if (has_expert_cache(plan))
        out +=
            "expert cache: copies of hot experts, in what the placement leaves of VRAM (--moe-cache); comes on top\n";
    return out +
           fmt::format(
               "decode is predicted from the bytes a token reads: RAM at {}, VRAM at {}; the low end is {:.0f}% of "
               "that with a full context\n",
               bandwidth_text(limits.ram), bandwidth_text(limits.vram), 100.0 * engine::DECODE_EFFICIENCY_LOW);
}

}  // namespace

std::string to_text(const Plan & plan, bool all) {
    std::string out =
        fmt::format("{}: {} parameters, {}, {} on disk, context {}\n", plan.source, format_count(plan.info.n_params),
                    plan.quantization, format_bytes(plan.disk_bytes), plan.n_ctx);
    if (plan.fetched_bytes > 0) out += fmt::format("read of it: {} (its header)\n", format_bytes(plan.fetched_bytes));
    out += answer_text(plan);
    if (plan.disk) out += disk_text(plan);
    if (!plan.info.cpu_moe_applies()) out += "the model has no experts: there is nothing to offload\n";
    const std::vector<bool> shown = worth_showing(plan, all);
    out += "\n" + placement_table(plan, shown).text();
    if (const auto n_hidden = std::count(shown.begin(), shown.end(), false); n_hidden > 0)
        out += fmt::format("{} more: --all\n", n_hidden);
    if (plan.quantizations.size() > 1) out += "\n" + quantization_table(plan).text();
    return out + "\n" + method_text(plan);
}

}  // namespace shimmy::cli

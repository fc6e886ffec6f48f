#include "cli/print/plan_document.h"

#include "base/units.h"
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

Json optional_json(const std::optional<bool> & value) {
    return value ? Json(*value) : Json(nullptr);
}

Json placement_json(const Plan & plan, const engine::PlacementEstimate & estimate) {
    return {{"placement", engine::to_string(estimate.placement)}, {"n_cpu_moe", estimate.n_cpu_moe},
            {"vram_bytes", estimate.vram.total_bytes()},          {"model_bytes", estimate.vram.model_bytes},
            {"context_bytes", estimate.vram.context_bytes},       {"compute_bytes", estimate.vram.compute_bytes},
            {"host_bytes", estimate.host.total_bytes()},          {"decode_tps_low", estimate.decode.low_tps},
            {"decode_tps_high", estimate.decode.high_tps},        {"fits", optional_json(plan.fits(estimate))}};
}

report::Table placement_table(const Plan & plan) {
    using Align = report::Table::Align;
    report::Table table;
    table.columns = {{"placement", Align::left},
                     {"VRAM", Align::right},
                     {"model", Align::right},
                     {"KV cache", Align::right},
                     {"compute", Align::right},
                     {"RAM", Align::right},
                     {"decode, tok/s\n(predicted)", Align::right}};
    if (plan.vram_limit_bytes) table.columns.push_back({"fits", Align::left});
    for (const engine::PlacementEstimate & estimate : plan.placements) {
        std::vector<std::string> cells{engine::to_string(estimate.placement),
                                       format_bytes(estimate.vram.total_bytes()),
                                       format_bytes(estimate.vram.model_bytes),
                                       format_bytes(estimate.vram.context_bytes),
                                       format_bytes(estimate.vram.compute_bytes),
                                       format_bytes(estimate.host.total_bytes()),
                                       rate_text(estimate.decode)};
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

std::string excess(uint64_t needed, uint64_t limit, const char * what) {
    return fmt::format("{} of {}, {} too much", format_bytes(needed), what, format_bytes(needed - limit));
}

// What of a placement goes beyond its limits.
std::string excess_of(const Plan & plan, const engine::PlacementEstimate & estimate) {
    const uint64_t vram_bytes = estimate.vram.total_bytes();
    if (vram_bytes > plan.usable_vram_bytes()) return excess(vram_bytes, plan.usable_vram_bytes(), "VRAM");
    return excess(estimate.host.total_bytes(), plan.ram_limit_bytes, "RAM");
}

}  // namespace

std::string method_note(bool exact, const std::string & device_name) {
    if (exact) return fmt::format("exact for {}: llama.cpp's own load of the model, without allocating", device_name);
    return "modelled: no GPU is loaded here, so llama.cpp laid the model out for a device that follows CUDA's rules; "
           "weights and KV cache are exact, the compute buffer leaves out what CUDA keeps for fused kernels, and the "
           "driver's own memory (some hundred MiB) comes on top";
}

uint64_t Plan::usable_vram_bytes() const {
    const uint64_t limit = vram_limit_bytes.value_or(0);
    return limit - std::min(limit, vram_reserve_bytes);
}

std::optional<bool> Plan::fits(const engine::PlacementEstimate & estimate) const {
    if (!vram_limit_bytes) return std::nullopt;
    return estimate.vram.total_bytes() <= usable_vram_bytes() && estimate.host.total_bytes() <= ram_limit_bytes;
}

const engine::PlacementEstimate * Plan::best() const {
    return vram_limit_bytes ? engine::best_fit(placements, usable_vram_bytes(), ram_limit_bytes) : nullptr;
}

std::string Plan::why() const {
    if (!vram_limit_bytes) return "no card is known: name its memory with --vram";
    const engine::PlacementEstimate * choice = best();
    if (choice == nullptr) {
        return fmt::format("nothing fits: even {} needs {}; use a smaller quantization or a smaller --ctx",
                           engine::to_string(placements.back().placement), excess_of(*this, placements.back()));
    }
    if (choice->n_cpu_moe == 0) return "everything fits on the card, and that is the fastest";
    const engine::PlacementEstimate & before = *(choice - 1);
    return fmt::format("it keeps the most experts on the card, {} of {} layers on the CPU: {} would need {}",
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
            {"vram_method", plan.exact ? "exact" : "modelled"},
            {"vram_method_note", method_note(plan.exact, plan.device_name)},
            {"vram_limit_bytes", plan.vram_limit_bytes ? Json(*plan.vram_limit_bytes) : Json(nullptr)},
            {"vram_reserve_bytes", plan.vram_limit_bytes ? Json(plan.vram_reserve_bytes) : Json(nullptr)},
            {"ram_limit_bytes", plan.ram_limit_bytes},
            {"ram_bandwidth", to_json(plan.ram)},
            {"vram_bandwidth", to_json(plan.vram)},
            {"placements", placements},
            {"disk", disk_json(plan)},
            {"best", best == nullptr ? Json(nullptr) : placement_json(plan, *best)},
            {"why", plan.why()},
            {"quantizations", quantizations}};
}

std::string to_text(const Plan & plan) {
    std::string out =
        fmt::format("{}: {} parameters, {}, {} on disk, context {}\n", plan.source, format_count(plan.info.n_params),
                    plan.quantization, format_bytes(plan.disk_bytes), plan.n_ctx);
    if (plan.fetched_bytes > 0) out += fmt::format("read of it: {} (its header)\n", format_bytes(plan.fetched_bytes));
    out += fmt::format("VRAM is {}\n", method_note(plan.exact, plan.device_name));
    if (plan.vram_limit_bytes) {
        out += fmt::format("card: {} ({}), {} of it kept free (--reserve); ", format_bytes(*plan.vram_limit_bytes),
                           plan.vram_limit_source, format_bytes(plan.vram_reserve_bytes));
    }
    out += fmt::format("RAM: {} ({})\n", format_bytes(plan.ram_limit_bytes), plan.ram_limit_source);
    out += fmt::format(
        "decode is predicted from the bytes a token reads: RAM at {}, VRAM at {}; the low end is {:.0f}% of that with "
        "a full context\n\n",
        bandwidth_text(plan.ram), bandwidth_text(plan.vram), 100.0 * engine::DECODE_EFFICIENCY_LOW);
    out += placement_table(plan).text() + "\n";
    const engine::PlacementEstimate * best = plan.best();
    out += best == nullptr ? plan.why() + "\n"
                           : fmt::format("best: {}: {}\n", engine::to_string(best->placement), plan.why());
    if (plan.disk) out += disk_text(plan);
    if (!plan.info.cpu_moe_applies()) out += "the model has no experts: there is nothing to offload\n";
    if (plan.quantizations.size() > 1) out += "\n" + quantization_table(plan).text();
    return out;
}

}  // namespace shimmy::cli

#include "report/figures/experts.h"

#include "base/text/units.h"
#include "report/figures/selection.h"

#include <fmt/format.h>

#include <map>

namespace shimmy::report {

namespace {

// Of the run's document, or null.
const Json * tensors_of(const lab::CampaignPlan & plan, size_t run) {
    const lab::StoredResult & result = plan.results.at(run);
    if (result.state != lab::ResultState::valid) return nullptr;
    const auto found = result.document.find("expert_tensors");
    return found == result.document.end() || !found->is_array() || found->empty() ? nullptr : &*found;
}

// The first run of every file and placement that says where its experts lie.
std::map<std::pair<size_t, std::string>, size_t> first_runs(const lab::CampaignPlan & plan) {
    std::map<std::pair<size_t, std::string>, size_t> first;
    for (size_t i = 0; i < plan.runs.size(); ++i) {
        if (tensors_of(plan, i) != nullptr)
            first.try_emplace({plan.runs[i].variant, engine::to_string(plan.runs[i].placement)}, i);
    }
    return first;
}

}  // namespace

Table experts_table(const lab::Summary & summary, const std::string & model) {
    using Align = Table::Align;
    Table table;
    table.columns = {{"type", Align::left},   {"placement", Align::left}, {"buffer", Align::left},
                     {"memory", Align::left}, {"expert tensors"},         {"size"}};
    for (const lab::Cell * cell : cells_of(summary, model)) {
        for (const lab::ExpertBuffer & buffer : cell->expert_buffers)
            table.rows.push_back({cell->quantization, engine::to_string(cell->placement), buffer.buffer_type,
                                  buffer.host ? "RAM" : "VRAM", fmt::format("{}", buffer.n_tensors),
                                  format_bytes(buffer.bytes)});
    }
    return table;
}

std::string expert_tensors_csv(const lab::CampaignPlan & plan) {
    std::string csv;
    for (const auto & [key, run] : first_runs(plan)) {
        const lab::Variant & variant = plan.variants[key.first];
        for (const Json & tensor : *tensors_of(plan, run))
            csv += fmt::format("{},{},{},{},{},{},{},{}\r\n", variant.model, variant.quantization, key.second,
                               tensor.at("name").get<std::string>(), tensor.at("type").get<std::string>(),
                               tensor.at("buffer_type").get<std::string>(), tensor.at("host") ? "RAM" : "VRAM",
                               tensor.at("bytes").get<uint64_t>());
    }
    return csv.empty() ? "" : "model,quantization,placement,tensor,type,buffer,memory,bytes\r\n" + csv;
}

std::string misplaced_experts(const lab::CampaignPlan & plan) {
    const auto first = first_runs(plan);
    for (size_t i = 0; i < plan.runs.size(); ++i) {
        const Json * tensors = tensors_of(plan, i);
        if (tensors == nullptr) continue;
        const engine::Placement placement = plan.runs[i].placement;
        const size_t known = first.at({plan.runs[i].variant, engine::to_string(placement)});
        const lab::Run & a = plan.runs[i];
        if (a.point == plan.runs[known].point && *tensors != *tensors_of(plan, known))
            return fmt::format("{} has its experts elsewhere than {}", plan.describe_run(i), plan.describe_run(known));
        for (const Json & tensor : *tensors) {
            const bool host = tensor.at("host");
            const bool wrong = placement == engine::Placement::offload() ? !host : !placement.offloads() && host;
            if (wrong)
                return fmt::format("{}: {} lies in {}", plan.describe_run(i), tensor.at("name").get<std::string>(),
                                   tensor.at("buffer_type").get<std::string>());
        }
    }
    return "";
}

}  // namespace shimmy::report

#include "cli/print/quality_document.h"

#include "report/text/table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace shimmy::cli {

namespace {

using report::Table;

// The mean over layers, and the layer where it is worst.
struct RoutingSummary {
    double other_experts_percent = 0.0;
    double entropy = 0.0;
    double variation = 0.0;
    size_t n_never_chosen = 0;
    int worst_layer = 0;  // the most other experts
    double worst_percent = 0.0;
};

RoutingSummary summarize(const std::vector<quality::LayerUse> & layers) {
    RoutingSummary sum;
    const auto n = static_cast<double>(layers.size());
    for (const quality::LayerUse & layer : layers) {
        const double percent = 100.0 * layer.other_experts_share;
        sum.other_experts_percent += percent / n;
        sum.entropy += layer.entropy() / n;
        sum.variation += layer.variation() / n;
        sum.n_never_chosen += layer.never_chosen().size();
        if (percent >= sum.worst_percent) {
            sum.worst_percent = percent;
            sum.worst_layer = layer.layer;
        }
    }
    return sum;
}

Json routing_json(const std::vector<quality::LayerUse> & layers) {
    if (layers.empty()) return nullptr;
    const RoutingSummary sum = summarize(layers);
    Json list = Json::array();
    for (const quality::LayerUse & layer : layers) {
        list.push_back({{"layer", layer.layer},
                        {"n_expert", layer.hits.size()},
                        {"n_expert_used", layer.n_used},
                        {"other_experts_percent", 100.0 * layer.other_experts_share},
                        {"entropy", layer.entropy()},
                        {"variation", layer.variation()},
                        {"never_chosen", layer.never_chosen()},
                        {"hits", layer.hits}});
    }
    return {{"other_experts_percent", sum.other_experts_percent},
            {"entropy", sum.entropy},
            {"variation", sum.variation},
            {"n_never_chosen", sum.n_never_chosen},
            {"layers", list}};
}

Table figures_table(const std::vector<MeasuredModel> & models) {
    Table table;
    table.columns = {{"type", Table::Align::left},
                     {"bits/weight"},
                     {"perplexity"},
                     {"to base"},
                     {"mean KLD"},
                     {"median"},
                     {"99%"},
                     {"max"},
                     {"same top token"}};
    for (const MeasuredModel & model : models) {
        const quality::Divergence & d = model.result.figures;
        table.rows.push_back({model.info.quantization, fmt::format("{:.2f}", model.info.bits_per_weight),
                              fmt::format("{:.4f} ± {:.4f}", d.ppl, d.ppl_error), fmt::format("{:.4f}x", d.ppl_ratio),
                              fmt::format("{:.5f} ± {:.5f}", d.mean_kld, d.mean_kld_error),
                              fmt::format("{:.5f}", d.median_kld), fmt::format("{:.4f}", d.kld_p99),
                              fmt::format("{:.3f}", d.max_kld), fmt::format("{:.2f}%", d.same_top_percent)});
    }
    return table;
}

Table routing_table(const std::vector<MeasuredModel> & models) {
    Table table;
    table.columns = {{"type", Table::Align::left},
                     {"other experts than the base"},
                     {"most in layer"},
                     {"entropy of use"},
                     {"variation of use"},
                     {"never chosen"}};
    for (const MeasuredModel & model : models) {
        if (model.result.routing.empty()) continue;
        const RoutingSummary sum = summarize(model.result.routing);
        table.rows.push_back({model.info.quantization, fmt::format("{:.2f}%", sum.other_experts_percent),
                              fmt::format("{}: {:.2f}%", sum.worst_layer, sum.worst_percent),
                              fmt::format("{:.3f}", sum.entropy), fmt::format("{:.2f}", sum.variation),
                              fmt::format("{}", sum.n_never_chosen)});
    }
    return table;
}

std::string never_chosen_lines(const MeasuredModel & model) {
    std::string lines;
    for (const quality::LayerUse & layer : model.result.routing) {
        const std::vector<int> experts = layer.never_chosen();
        if (!experts.empty())
            lines += fmt::format("{}: layer {} never chose expert {}\n", model.info.quantization, layer.layer,
                                 fmt::join(experts, ", "));
    }
    return lines;
}

}  // namespace

Json to_json(const MeasuredModel & model) {
    const quality::Divergence & d = model.result.figures;
    return {{"file", model.file},
            {"sha256", model.sha256},
            {"quant", model.info.quantization},
            {"bits_per_weight", model.info.bits_per_weight},
            {"file_size_bytes", model.info.size_bytes},
            {"ppl", d.ppl},
            {"ppl_error", d.ppl_error},
            {"ppl_ratio", d.ppl_ratio},
            {"mean_kld", d.mean_kld},
            {"mean_kld_error", d.mean_kld_error},
            {"median_kld", d.median_kld},
            {"kld_p90", d.kld_p90},
            {"kld_p99", d.kld_p99},
            {"kld_p999", d.kld_p999},
            {"max_kld", d.max_kld},
            {"rms_delta_p", d.rms_delta_p},
            {"same_top_percent", d.same_top_percent},
            {"routing", routing_json(model.result.routing)}};
}

std::string quality_text(const std::vector<MeasuredModel> & models) {
    std::string text = figures_table(models).text();
    const Table routing = routing_table(models);
    if (!routing.rows.empty()) text += "\n" + routing.text();
    for (const MeasuredModel & model : models)
        text += never_chosen_lines(model);
    return text;
}

Json to_json(const OffloadCheck & check) {
    const quality::Divergence & d = check.figures;
    return {{"file", check.file},
            {"quant", check.quantization},
            {"mean_kld", d.mean_kld},
            {"mean_kld_error", d.mean_kld_error},
            {"max_kld", d.max_kld},
            {"same_top_percent", d.same_top_percent},
            {"mean_kld_bound", check.bound},
            {"within_bound", check.within_bound()}};
}

std::string offload_text(const std::vector<OffloadCheck> & checks) {
    std::string text;
    for (const OffloadCheck & check : checks) {
        const quality::Divergence & d = check.figures;
        text += fmt::format("{}: offload against baseline: mean KLD {:.6f} ± {:.6f}, same top token {:.2f}%: {}\n",
                            check.quantization, d.mean_kld, d.mean_kld_error, d.same_top_percent,
                            check.within_bound()
                                ? fmt::format("within the kernels' bound of {}", check.bound)
                                : fmt::format("a DEFECT, not rounding: above the kernels' bound of {}", check.bound));
    }
    const bool sound =
        std::all_of(checks.begin(), checks.end(), [](const OffloadCheck & check) { return check.within_bound(); });
    if (!sound) {
        text +=
            "One of the two placements computes wrongly. Which one: repeat with --moe-backend off (ggml's own kernels "
            "for the experts), with another --gpu-backend, and beside --device cpu; then report it, and do not use "
            "that placement.\n";
    }
    return text;
}

}  // namespace shimmy::cli

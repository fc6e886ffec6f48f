#include "report/conclusions/questions.h"

#include "base/text/units.h"
#include "report/conclusions/offloading.h"
#include "report/conclusions/uses.h"
#include "report/figures/pareto.h"
#include "report/figures/selection.h"

#include <algorithm>

namespace shimmy::report {

namespace {

Finding not_measured(const std::string & model) {
    return {model, "not_measured"};
}

// Whether the intervals of any two do not meet.
bool differ(const std::vector<Slowdown> & all) {
    for (const Slowdown & a : all) {
        for (const Slowdown & b : all) {
            if (a.has_interval && b.has_interval && a.low > b.high) return true;
        }
    }
    return false;
}

Finding same_predictions(const lab::Summary & summary, const std::string & model, const Quality & quality) {
    std::vector<std::string> defective;
    size_t n_checked = 0;
    for (const lab::MeasuredFile * file : variants_of(summary, model)) {
        const OffloadFigures * check = quality.offload_of(model, file->quantization);
        if (check == nullptr) continue;
        ++n_checked;
        if (!check->within_bound) defective.push_back(file->quantization);
    }
    if (n_checked == 0) return {model, "predictions_unknown"};
    if (!defective.empty()) return {model, "predictions_differ", {{"types", defective}}};
    return {model, "predictions_same", {{"n", n_checked}}};
}

std::vector<Finding> alike(const lab::Summary & summary, const std::string & model, const Quality & quality) {
    const auto placements = offloading_placements(summary, model);
    if (placements.empty()) return {not_measured(model)};
    std::vector<Finding> answer{same_predictions(summary, model, quality)};
    for (const engine::Placement placement : placements) {
        answer.push_back(reduction_finding(summary, model, placement));
        const std::vector<Slowdown> all = slowdowns(summary, model, placement);
        if (all.size() < 2) continue;
        answer.push_back({model,
                          differ(all) ? "slowdown_differs" : "slowdown_alike",
                          {{"placement", engine::to_string(placement)}}});
    }
    return answer;
}

std::vector<Finding> sweet_spot(const lab::Summary & summary, const std::string & model, const Quality & quality) {
    if (rows_of(summary, model).empty()) return {not_measured(model)};
    Json list = Json::array();
    for (const Recommendation & line : recommendations(summary, model, quality))
        list.push_back(finding_of(line, model).figures);
    if (list.empty()) return {sweet_spot_finding(summary, model), {model, "sweet_spot_by_bits"}};
    return {{model, "recommendations", {{"list", std::move(list)}}}};
}

std::vector<Finding> least_vram(const lab::Summary & summary, const std::string & model) {
    Json list = Json::array();
    for (const lab::MeasuredFile * file : variants_of(summary, model)) {
        const lab::Cell * least = nullptr;
        for (const lab::Cell * cell : cells_of(summary, model)) {
            const bool smaller = least == nullptr || cell->figures->vram_bytes < least->figures->vram_bytes;
            if (cell->quantization == file->quantization && smaller) least = cell;
        }
        list.push_back({{"type", file->quantization},
                        {"vram", least == nullptr ? "" : format_bytes(least->figures->vram_bytes)},
                        {"placement", least == nullptr ? "" : engine::to_string(least->placement)}});
    }
    if (list.empty()) return {not_measured(model)};
    return {{model, "least_vram", {{"list", std::move(list)}}}};
}

std::vector<Finding> slowdown_answer(const lab::Summary & summary, const std::string & model) {
    std::vector<Finding> answer;
    for (const engine::Placement placement : offloading_placements(summary, model))
        answer.push_back(slowdown_finding(summary, model, placement));
    if (answer.empty()) return {not_measured(model)};
    return answer;
}

std::vector<Finding> by_use(const lab::Summary & summary, const std::string & model) {
    std::vector<Finding> answer;
    for (const UseAdvice & advice : advise(summary, model)) {
        Json choices = Json::array();
        for (const UseChoice & choice : advice.choices)
            choices.push_back({{"vram", format_bytes(choice.vram_bytes)}, {"cell", choice.cell()}});
        answer.push_back(
            {model, "use", {{"title", advice.title}, {"choices", std::move(choices)}, {"missing", advice.missing}}});
    }
    return answer;
}

}  // namespace

std::vector<Question> answered_questions(const lab::Summary & summary, const std::string & model,
                                         const Quality & quality) {
    std::vector<Question> all{{{model, "question_alike"}, alike(summary, model, quality)},
                              {{model, "question_sweet_spot"}, sweet_spot(summary, model, quality)},
                              {{model, "question_least_vram"}, least_vram(summary, model)},
                              {{model, "question_slowdown"}, slowdown_answer(summary, model)}};
    std::vector<Finding> uses = by_use(summary, model);
    if (!uses.empty()) all.push_back({{model, "question_uses"}, std::move(uses)});
    return all;
}

}  // namespace shimmy::report

#include "report/conclusions/questions.h"

#include "base/text/units.h"
#include "report/conclusions/offloading.h"
#include "report/conclusions/uses.h"
#include "report/figures/pareto.h"
#include "report/figures/selection.h"
#include "report/text/text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace shimmy::report {

namespace {

constexpr const char * NOT_YET = "Not measured: no quantization has all its runs.";

// Whether the intervals of any two do not meet.
bool differ(const std::vector<Slowdown> & all) {
    for (const Slowdown & a : all) {
        for (const Slowdown & b : all) {
            if (a.has_interval && b.has_interval && a.low > b.high) return true;
        }
    }
    return false;
}

std::string same_predictions(const lab::Summary & summary, const std::string & model, const Quality & quality) {
    std::string defective;
    size_t n_checked = 0;
    for (const lab::MeasuredFile * file : variants_of(summary, model)) {
        const OffloadFigures * check = quality.offload_of(model, file->quantization);
        if (check == nullptr) continue;
        ++n_checked;
        if (!check->within_bound) defective += (defective.empty() ? "" : ", ") + file->quantization;
    }
    if (n_checked == 0) return "Whether offloading changes what the model predicts was not measured (check_offload).";
    if (!defective.empty())
        return fmt::format("It is DEFECTIVE for {}: predictions change beyond rounding.", defective);
    return fmt::format("It predicts the same but for rounding in all {} quantizations that were checked.", n_checked);
}

std::vector<std::string> alike(const lab::Summary & summary, const std::string & model, const Quality & quality) {
    const auto placements = offloading_placements(summary, model);
    if (placements.empty()) return {NOT_YET};
    std::vector<std::string> answer{same_predictions(summary, model, quality)};
    for (const engine::Placement placement : placements) {
        answer.push_back(reduction_sentence(summary, model, placement));
        const std::vector<Slowdown> all = slowdowns(summary, model, placement);
        if (all.size() < 2) continue;
        answer.push_back(fmt::format("The slowdown with {} {}.", engine::to_string(placement),
                                     differ(all) ? "differs between quantizations: the intervals of some do not meet"
                                                 : "cannot be told apart between quantizations from these runs"));
    }
    return answer;
}

std::vector<std::string> sweet_spot(const lab::Summary & summary, const std::string & model, const Quality & quality) {
    if (rows_of(summary, model).empty()) return {NOT_YET};
    const std::vector<Recommendation> lines = recommendations(summary, model, quality);
    if (lines.empty())
        return {sweet_spot_sentence(summary, model), "By bits per weight alone, as quality was not measured."};
    std::vector<std::string> texts;
    for (const Recommendation & line : lines)
        texts.push_back(sentence(line));
    return {
        fmt::format("The lowest divergence from the original at no less than half the speed of the fastest that "
                    "fits: {}.",
                    fmt::join(texts, "; "))};
}

std::vector<std::string> least_vram(const lab::Summary & summary, const std::string & model) {
    std::vector<std::string> texts;
    for (const lab::MeasuredFile * file : variants_of(summary, model)) {
        const lab::Cell * least = nullptr;
        for (const lab::Cell * cell : cells_of(summary, model)) {
            const bool smaller = least == nullptr || cell->figures->vram_bytes < least->figures->vram_bytes;
            if (cell->quantization == file->quantization && smaller) least = cell;
        }
        texts.push_back(least == nullptr
                            ? fmt::format("{} not measured", file->quantization)
                            : fmt::format("{} {} ({})", file->quantization, format_bytes(least->figures->vram_bytes),
                                          engine::to_string(least->placement)));
    }
    if (texts.empty()) return {NOT_YET};
    return {fmt::format("{}. The driver's own memory comes on top.", fmt::join(texts, ", "))};
}

std::vector<std::string> slowdown_answer(const lab::Summary & summary, const std::string & model) {
    std::vector<std::string> answer;
    for (const engine::Placement placement : offloading_placements(summary, model))
        answer.push_back(slowdown_sentence(slowdowns(summary, model, placement), engine::to_string(placement)));
    if (answer.empty()) return {NOT_YET};
    return answer;
}

std::vector<std::string> by_use(const lab::Summary & summary, const std::string & model) {
    std::vector<std::string> answer;
    for (const UseAdvice & advice : advise(summary, model)) {
        std::string text = advice.title + ": ";
        for (const UseChoice & choice : advice.choices)
            text +=
                fmt::format("{}from {} of VRAM {} {}", &choice == advice.choices.data() ? "" : ", ",
                            format_bytes(choice.vram_bytes), choice.quantization, engine::to_string(choice.placement));
        if (!advice.missing.empty())
            text += fmt::format("not measured ({})", fmt::join(advice.missing, "; "));
        else if (advice.choices.empty())
            text += "no quantization is shown to keep up with the reference";
        answer.push_back(text + ".");
    }
    return answer;
}

}  // namespace

std::vector<Question> answered_questions(const lab::Summary & summary, const std::string & model,
                                         const Quality & quality) {
    return {{"Does keeping the experts on the CPU work alike for every quantization?", alike(summary, model, quality)},
            {"Where is the sweet spot?", sweet_spot(summary, model, quality)},
            {"How little VRAM does each quantization need?", least_vram(summary, model)},
            {"How does the slowdown change from one quantization to the next?", slowdown_answer(summary, model)},
            {"What should be taken for what?", by_use(summary, model)}};
}

}  // namespace shimmy::report

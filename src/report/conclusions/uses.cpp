#include "report/conclusions/uses.h"

#include "base/text/units.h"
#include "report/figures/selection.h"
#include "report/figures/tasks.h"
#include "report/text/text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

namespace shimmy::report {

namespace {

constexpr const char * LENGTH = "prompt_tokens";  // the axis of long prompts

const char * title_of(const std::string & use) {
    return use == "chat" ? "Chat" : use == "code" ? "Code" : use == "rag" ? "Retrieval (RAG)" : "Long prompts";
}

// A cell with its runs of one use: what is paired is the prompt and the repeat.
struct UseCell {
    const lab::Cell * cell = nullptr;
    std::map<std::pair<std::string, int>, double> runs = {};

    uint64_t vram_bytes() const { return cell->figures->vram_bytes; }
    double mean() const {
        double sum = 0.0;
        for (const auto & [key, value] : runs)
            sum += value;
        return sum / static_cast<double>(runs.size());
    }
};

class Advisor {
public:
    Advisor(const lab::Summary & summary, const std::string & model, const std::string & use)
        : summary_(summary), model_(model) {
        advice_.use = use;
        advice_.title = title_of(use);
        advice_.by_decode_rate = use == "chat" || use == "code";
    }

    UseAdvice advise() {
        if (summary_.model(model_).is_synthetic()) {
            advice_.missing.emplace_back("the weights are random");
            return advice_;
        }
        const std::vector<const lab::TaskFigures *> tasks = tasks_of_use();
        Json basis = find_cells();
        if (!advice_.missing.empty()) return advice_;
        judge(tasks);
        std::map<std::string, size_t> n_questions;
        for (const lab::TaskFigures * task : tasks)
            n_questions[task->task] = task->n_questions;
        basis["tasks"] = Json::array();
        for (const auto & [task, n] : n_questions)
            basis["tasks"].push_back({{"id", task}, {"n_questions", n}});
        basis["by_decode_rate"] = advice_.by_decode_rate;
        advice_.basis = {model_, "use_basis", std::move(basis)};
        choose();
        return advice_;
    }

private:
    // With results; notes what is missing.
    std::vector<const lab::TaskFigures *> tasks_of_use() {
        std::vector<const lab::TaskFigures *> found;
        for (const lab::TaskFigures & task : summary_.tasks) {
            if (task.model == model_ && task.use == advice_.use) found.push_back(&task);
        }
        const auto listed = std::any_of(summary_.campaign.tasks.begin(), summary_.campaign.tasks.end(),
                                        [&](const lab::CampaignTask & task) { return task.use == advice_.use; });
        if (!listed)
            advice_.missing.push_back(fmt::format("tasks: add [[tasks]] with use = \"{}\"", advice_.use));
        else if (found.empty())
            advice_.missing.emplace_back("tasks: they have no results");
        else if (std::any_of(found.begin(), found.end(), [](const auto * task) { return task->reference.empty(); }))
            advice_.missing.emplace_back("tasks: the reference has no result");
        return found;
    }

    bool is_wanted(const lab::Cell & cell, int longest) const {
        if (cell.model != model_ || cell.mode != summary_.table_mode() || !cell.figures || !cell.complete())
            return false;
        if (longest == 0) return cell.at_base;
        lab::Point base = lab::base_point(summary_.campaign, cell.mode, cell.placement);
        for (lab::Setting & setting : base) {
            if (setting.key == LENGTH) setting.value = std::to_string(longest);
        }
        return cell.point == base;
    }

    // Fills in cells_; returns what they are of.
    Json find_cells() {
        std::set<std::string> prompts;
        for (const lab::Prompt & prompt : summary_.campaign.prompts) {
            if (prompt.use == advice_.use) prompts.insert(prompt.id);
        }
        int longest = 0;
        const lab::Axis * axis = summary_.campaign.axes.find(LENGTH);
        if (advice_.use == "long-prompts" && prompts.empty() && axis != nullptr) {
            for (const std::string & value : axis->values)
                longest = std::max(longest, std::stoi(value));
        }
        if (prompts.empty() && longest == 0) {
            advice_.missing.push_back(
                fmt::format("speed: add [[prompts]] with use = \"{}\"{}", advice_.use,
                            advice_.use == "long-prompts" ? ", or prompt_tokens under [axes]" : ""));
            return {};
        }
        for (const lab::Cell & cell : summary_.cells) {
            if (!is_wanted(cell, longest)) continue;
            UseCell used{&cell};
            for (const lab::Sample & sample : cell.samples) {
                if (longest > 0 || prompts.contains(sample.prompt_id))
                    used.runs[{sample.prompt_id, sample.repeat}] =
                        advice_.by_decode_rate ? sample.decode_tps : sample.ttft_ms;
            }
            if (used.runs.size() >= 2) cells_.push_back(std::move(used));
        }
        if (cells_.empty())
            advice_.missing.emplace_back("speed: no interval without two runs of a cell; repeats = 3 or more");
        return {{"n_tokens", longest}, {"prompts", prompts}};
    }

    // Which quantizations keep up in every task.
    void judge(const std::vector<const lab::TaskFigures *> & tasks) {
        std::set<std::string> ids;
        for (const lab::TaskFigures * task : tasks)
            ids.insert(task->task);
        std::vector<std::string> types;
        for (const lab::MeasuredFile * file : variants_of(summary_, model_))
            types.push_back(file->quantization);
        for (const std::string & type : types) {
            size_t n_tasks = 0;
            Json shortfalls = Json::array();
            for (const lab::TaskFigures * task : tasks) {
                if (task->quantization != type) continue;
                ++n_tasks;
                const auto & compared = task->decisive().against_reference;
                if (!compared || compared->ci95.low > KEEPS_UP) continue;
                shortfalls.push_back({{"points", points_text(*compared)},
                                      {"task", task->task},
                                      {"is_clear", compared->ci95.high < 0.0}});
            }
            const bool is_whole = n_tasks >= ids.size();
            if (is_whole && shortfalls.empty())
                keeping_up_.insert(type);
            else
                advice_.left_out.push_back(
                    {model_,
                     "use_left_out",
                     {{"type", type}, {"is_whole", is_whole}, {"shortfalls", std::move(shortfalls)}}});
        }
    }

    // By how much a cell is faster than another, over the runs that both have.
    lab::Change faster(const UseCell & cell, const UseCell & other) const {
        std::vector<double> ratios;
        for (const auto & [key, value] : cell.runs) {
            const auto same = other.runs.find(key);
            if (same == other.runs.end() || value <= 0.0 || same->second <= 0.0) continue;
            ratios.push_back(advice_.by_decode_rate ? value / same->second : same->second / value);
        }
        return lab::change_of(ratios);
    }

    void choose() {
        std::erase_if(cells_, [&](const UseCell & used) { return !keeping_up_.contains(used.cell->quantization); });
        std::stable_sort(cells_.begin(), cells_.end(),
                         [](const UseCell & a, const UseCell & b) { return a.vram_bytes() < b.vram_bytes(); });
        for (size_t n_fit = 1; n_fit <= cells_.size(); ++n_fit) {
            // Cells of the same VRAM come into reach together.
            if (n_fit < cells_.size() && cells_[n_fit].vram_bytes() == cells_[n_fit - 1].vram_bytes()) continue;
            take_best(n_fit);
        }
    }

    void take_best(size_t n_fit) {
        const UseCell * fastest = &cells_.front();
        for (size_t i = 1; i < n_fit; ++i) {
            if (faster(cells_[i], *fastest).mean > 0.0) fastest = &cells_[i];
        }
        UseChoice choice;
        for (size_t i = 0; i < n_fit; ++i) {
            const lab::Change gain = faster(*fastest, cells_[i]);
            if (&cells_[i] != fastest && gain.is_clear()) continue;
            const lab::Cell & cell = *cells_[i].cell;
            if (choice.quantization.empty()) {
                choice.quantization = cell.quantization;
                choice.placement = cell.placement;
                choice.speed = cells_[i].mean();
            } else {
                choice.as_fast.push_back(cell.name());
            }
        }
        choice.vram_bytes = cells_[n_fit - 1].vram_bytes();
        const auto & known = advice_.choices;
        const bool same = !known.empty() && known.back().quantization == choice.quantization &&
                          known.back().placement == choice.placement;
        if (!same) advice_.choices.push_back(std::move(choice));
    }

    const lab::Summary & summary_;
    const std::string & model_;
    UseAdvice advice_;
    std::vector<UseCell> cells_;
    std::set<std::string> keeping_up_;
};

// Whether the campaign says of any prompt or task what it stands for.
bool has_uses(const lab::Campaign & campaign) {
    const auto has_use = [](const auto & entry) { return !entry.use.empty(); };
    return std::any_of(campaign.prompts.begin(), campaign.prompts.end(), has_use) ||
           std::any_of(campaign.tasks.begin(), campaign.tasks.end(), has_use);
}

}  // namespace

std::vector<UseAdvice> advise(const lab::Summary & summary, const std::string & model) {
    if (!has_uses(summary.campaign)) return {};
    std::vector<UseAdvice> all;
    all.reserve(lab::USES.size());
    for (const char * use : lab::USES)
        all.push_back(Advisor(summary, model, use).advise());
    return all;
}

Table use_table(const lab::Summary & summary, const std::string & model) {
    using Align = Table::Align;
    Table table;
    table.columns = {{"for", Align::left},
                     {"free VRAM,\nat least"},
                     {"take", Align::left},
                     {"placement option", Align::left},
                     {"speed", Align::left}};
    for (const UseAdvice & advice : advise(summary, model)) {
        for (const UseChoice & choice : advice.choices) {
            table.rows.push_back({advice.title, format_bytes(choice.vram_bytes), choice.quantization,
                                  placement_option(choice.placement),
                                  advice.by_decode_rate ? figure(choice.speed) + " tok/s"
                                                        : figure(choice.speed) + " ms to the first token"});
        }
        if (!advice.missing.empty())
            table.rows.push_back(
                {advice.title, "", "not measured", "", fmt::format("{}", fmt::join(advice.missing, "\n"))});
        else if (advice.choices.empty())
            table.rows.push_back({advice.title, "", "none is shown to keep up", "", ""});
    }
    return table;
}

}  // namespace shimmy::report

#include "lab/compare/comparison.h"

#include "base/error.h"

#include <algorithm>
#include <cmath>

namespace shimmy::lab {

namespace {

constexpr double VRAM_ROUNDING = 0.0005;  // share

const MeasuredRun * find_run(const MeasuredCell & cell, const MeasuredRun & like) {
    for (const MeasuredRun & run : cell.runs) {
        if (run.prompt_id == like.prompt_id && run.repeat == like.repeat) return &run;
    }
    return nullptr;
}

bool is_other(const std::vector<std::string> & prompts, const std::string & id) {
    return std::find(prompts.begin(), prompts.end(), id) != prompts.end();
}

Change change_in(const MeasuredCell & a, const MeasuredCell & b, const std::vector<std::string> & other_prompts,
                 double MeasuredRun::*figure) {
    std::vector<double> ratios;
    for (const MeasuredRun & run : b.runs) {
        const MeasuredRun * before = is_other(other_prompts, run.prompt_id) ? nullptr : find_run(a, run);
        if (before == nullptr || before->*figure <= 0.0) continue;
        if (run.*figure > 0.0) ratios.push_back(run.*figure / (before->*figure));
    }
    return change_of(ratios);
}

CellChange compare_cells(const MeasuredKey & key, const MeasuredCell & a, const MeasuredCell & b,
                         const std::vector<std::string> & other_prompts) {
    CellChange change{key};
    change.decode = change_in(a, b, other_prompts, &MeasuredRun::decode_tps);
    change.prefill = change_in(a, b, other_prompts, &MeasuredRun::prefill_tps);
    change.ttft = change_in(a, b, other_prompts, &MeasuredRun::ttft_ms);
    change.vram_bytes_a = a.vram_bytes;
    change.vram_bytes_b = b.vram_bytes;
    for (const auto & [prompt, text] : a.answers) {
        const auto other = b.answers.find(prompt);
        if (other == b.answers.end() || is_other(other_prompts, prompt)) continue;
        ++change.n_prompts;
        if (other->second != text) ++change.n_other_answers;
    }
    return change;
}

std::vector<FactChange> compare_facts(const std::vector<Fact> & a, const std::vector<Fact> & b) {
    std::vector<FactChange> changes;
    for (const Fact & fact : a) {
        const auto other = std::find_if(b.begin(), b.end(), [&](const Fact & one) { return one.name == fact.name; });
        if (other != b.end() && other->value != fact.value) changes.push_back({fact.name, fact.value, other->value});
    }
    return changes;
}

bool same_file(const MeasuredCampaign & a, const MeasuredCampaign & b, const MeasuredKey & key) {
    const auto in_a = a.files.find({key.model, key.quantization});
    const auto in_b = b.files.find({key.model, key.quantization});
    return in_a != a.files.end() && in_b != b.files.end() && in_a->second == in_b->second && in_a->second != UNKNOWN;
}

template <typename T>
void add_only(const std::map<MeasuredKey, T> & in, const std::map<MeasuredKey, T> & not_in,
              std::vector<MeasuredKey> & keys) {
    for (const auto & [key, ignored] : in) {
        if (!not_in.contains(key)) keys.push_back(key);
    }
}

Json key_json(const MeasuredKey & key) {
    return {{"model", key.model},
            {"quantization", key.quantization},
            {"placement", key.placement},
            {"mode", key.mode},
            {"settings", key.settings.empty() ? Json(nullptr) : Json(key.settings)},
            {"n_clients", key.n_clients > 0 ? Json(key.n_clients) : Json(nullptr)},
            {"task", key.task.empty() ? Json(nullptr) : Json(key.task)}};
}

Json percents_json(const Change & change) {
    if (change.n == 0) return nullptr;
    return {{"mean", change.mean},
            {"ci95_low", change.low ? Json(*change.low) : Json(nullptr)},
            {"ci95_high", change.high ? Json(*change.high) : Json(nullptr)},
            {"clear", change.is_clear()}};
}

Json cell_json(const CellChange & cell) {
    Json json = key_json(cell.key);
    json.update({{"n_pairs", cell.n_pairs()},
                 {"changed", cell.changed()},
                 {"decode_percent", percents_json(cell.decode)},
                 {"prefill_percent", percents_json(cell.prefill)},
                 {"ttft_percent", percents_json(cell.ttft)},
                 {"vram_bytes", {{"a", cell.vram_bytes_a}, {"b", cell.vram_bytes_b}}},
                 {"same_file", cell.same_file},
                 {"n_prompts", cell.n_prompts},
                 {"n_other_answers", cell.n_other_answers}});
    return json;
}

Json load_json(const LoadChange & load) {
    Json json = key_json(load.key);
    json.update({{"total_tps", {{"a", load.a.mean}, {"b", load.b.mean}}},
                 {"percent", load.percent()},
                 {"n_runs", {{"a", load.a.n}, {"b", load.b.n}}},
                 {"changed", load.changed()}});
    return json;
}

std::vector<TaskChange> compare_tasks(const MeasuredCampaign & a, const MeasuredCampaign & b,
                                      std::vector<std::string> & other_tasks) {
    std::vector<TaskChange> changes;
    for (const auto & [key, task] : a.tasks) {
        const auto found = b.tasks.find(key);
        if (found == b.tasks.end() || is_other(other_tasks, key.task)) continue;
        const MeasuredTask & other = found->second;
        if (other.asked != task.asked || other.metric != task.metric) {
            other_tasks.push_back(key.task);
            continue;
        }
        std::vector<bool> first;
        std::vector<bool> second;
        for (const auto & [question, right] : task.right) {
            const auto same = other.right.find(question);
            if (same == other.right.end()) continue;
            first.push_back(right);
            second.push_back(same->second);
        }
        changes.push_back({key, task.metric, task.share, other.share, eval::pair(first, second), same_file(a, b, key)});
    }
    return changes;
}

Json task_json(const TaskChange & task) {
    const eval::Interval ci95 = task.ci95();
    const bool is_paired = task.paired.n > 0;
    return {{"model", task.key.model},
            {"quantization", task.key.quantization},
            {"task", task.key.task},
            {"metric", task.metric},
            {"share", {{"a", task.share_a}, {"b", task.share_b}}},
            {"n_questions", task.paired.n},
            {"n_only_a_right", task.paired.n_only_first},
            {"n_only_b_right", task.paired.n_only_second},
            {"difference_ci95", is_paired ? Json{{"low", ci95.low}, {"high", ci95.high}} : Json(nullptr)},
            {"mcnemar_p", is_paired ? Json(task.p()) : Json(nullptr)},
            {"same_file", task.same_file},
            {"changed", task.changed()}};
}

Json campaign_json(const MeasuredCampaign & campaign) {
    Json facts = Json::object();
    for (const Fact & fact : campaign.facts)
        facts[fact.name] = fact.value;
    return {{"folder", campaign.folder.string()}, {"campaign", campaign.name}, {"environment", facts}};
}

Json keys_json(const std::vector<MeasuredKey> & keys) {
    Json list = Json::array();
    for (const MeasuredKey & key : keys)
        list.push_back(key_json(key));
    return list;
}

}  // namespace

bool CellChange::vram_changed() const {
    const auto a = static_cast<double>(vram_bytes_a);
    const auto b = static_cast<double>(vram_bytes_b);
    return std::abs(b - a) > VRAM_ROUNDING * std::max(a, b);
}

bool CellChange::changed() const {
    return decode.is_clear() || prefill.is_clear() || ttft.is_clear() || vram_changed();
}

bool LoadChange::changed() const {
    return a.n >= 2 && b.n >= 2 && std::abs(b.mean - a.mean) > a.half_width + b.half_width;
}

bool TaskChange::changed() const {
    return paired.n > 0 && (ci95().low > 0.0 || ci95().high < 0.0);
}

size_t Comparison::n_changed() const {
    const auto changed = [](const auto & one) { return one.changed(); };
    return static_cast<size_t>(std::count_if(cells.begin(), cells.end(), changed) +
                               std::count_if(load.begin(), load.end(), changed) +
                               std::count_if(tasks.begin(), tasks.end(), changed));
}

Comparison compare_campaigns(const MeasuredCampaign & a, const MeasuredCampaign & b) {
    Comparison comparison;
    comparison.environment = compare_facts(a.facts, b.facts);
    for (const auto & [id, text] : a.prompts) {
        const auto other = b.prompts.find(id);
        if (other != b.prompts.end() && other->second != text) comparison.other_prompts.push_back(id);
    }
    for (const auto & [key, cell] : a.cells) {
        const auto other = b.cells.find(key);
        if (other == b.cells.end()) continue;
        comparison.cells.push_back(compare_cells(key, cell, other->second, comparison.other_prompts));
        comparison.cells.back().same_file = same_file(a, b, key);
    }
    for (const auto & [key, load] : a.load) {
        const auto other = b.load.find(key);
        if (other != b.load.end()) comparison.load.push_back({key, load, other->second});
    }
    comparison.tasks = compare_tasks(a, b, comparison.other_tasks);
    add_only(a.cells, b.cells, comparison.only_in_a);
    add_only(a.load, b.load, comparison.only_in_a);
    add_only(a.tasks, b.tasks, comparison.only_in_a);
    add_only(b.tasks, a.tasks, comparison.only_in_b);
    add_only(b.cells, a.cells, comparison.only_in_b);
    add_only(b.load, a.load, comparison.only_in_b);
    if (comparison.cells.empty() && comparison.load.empty() && comparison.tasks.empty())
        fail(
            "{} and {} have measured nothing in common: a comparison needs the same model names, quantizations and "
            "placements",
            a.folder.string(), b.folder.string());
    return comparison;
}

Json to_json(const Comparison & comparison, const MeasuredCampaign & a, const MeasuredCampaign & b) {
    Json environment = Json::array();
    for (const FactChange & fact : comparison.environment)
        environment.push_back({{"name", fact.name}, {"a", fact.a}, {"b", fact.b}});
    Json cells = Json::array();
    for (const CellChange & cell : comparison.cells)
        cells.push_back(cell_json(cell));
    Json load = Json::array();
    for (const LoadChange & one : comparison.load)
        load.push_back(load_json(one));
    Json tasks = Json::array();
    for (const TaskChange & one : comparison.tasks)
        tasks.push_back(task_json(one));
    return {{"a", campaign_json(a)},
            {"b", campaign_json(b)},
            {"environment_differences", environment},
            {"other_prompts", comparison.other_prompts},
            {"n_changed", comparison.n_changed()},
            {"cells", cells},
            {"load", load},
            {"tasks", tasks},
            {"other_tasks", comparison.other_tasks},
            {"only_in_a", keys_json(comparison.only_in_a)},
            {"only_in_b", keys_json(comparison.only_in_b)}};
}

}  // namespace shimmy::lab

#include "lab/measure/task_figures.h"

#include "eval/task.h"

#include <map>

namespace shimmy::lab {

namespace {

// Index of the run of this file on this task if it has a valid result.
std::optional<size_t> valid_run(const CampaignPlan & plan, size_t variant, size_t task) {
    for (size_t i = 0; i < plan.runs.size(); ++i) {
        const Run & run = plan.runs[i];
        if (run.mode == Mode::task && run.variant == variant && run.task == task &&
            plan.results.at(i).state == ResultState::valid)
            return i;
    }
    return std::nullopt;
}

// Of one model.
std::optional<size_t> reference_of(const CampaignPlan & plan, size_t campaign_model) {
    std::map<size_t, uint64_t> bytes;
    for (size_t i = 0; i < plan.runs.size(); ++i) {
        const StoredResult & result = plan.results.at(i);
        if (result.state == ResultState::valid && plan.runs[i].mode != Mode::task)
            bytes[plan.runs[i].variant] = result.document.at("model").at("size_bytes");
    }
    std::optional<size_t> largest;
    for (size_t variant = 0; variant < plan.variants.size(); ++variant) {
        if (plan.variants[variant].campaign_model != campaign_model) continue;
        if (plan.variants[variant].is_input()) return variant;
        if (bytes.contains(variant) && (!largest || bytes[variant] > bytes[*largest])) largest = variant;
    }
    return largest;
}

// Whether each question was answered rightly, by its number in the file.
std::map<uint64_t, bool> answers(const Json & document, const std::string & metric) {
    std::map<uint64_t, bool> right;
    for (const Json & question : document.at("models")[0].at("questions"))
        right[question.at("question")] = question.at("right").at(metric);
    return right;
}

TaskComparison compare(const Json & reference, const Json & document, const std::string & metric) {
    const std::map<uint64_t, bool> of_reference = answers(reference, metric);
    std::vector<bool> first;
    std::vector<bool> second;
    for (const auto & [number, right] : answers(document, metric)) {
        const auto same = of_reference.find(number);
        if (same == of_reference.end()) continue;
        first.push_back(same->second);
        second.push_back(right);
    }
    const eval::Paired paired = eval::pair(first, second);
    return {paired, eval::difference95(paired), eval::mcnemar_exact(paired)};
}

TaskFigures figures_of(const CampaignPlan & plan, size_t run, const Json * reference) {
    const Json & document = plan.results[run].document;
    const Variant & variant = plan.variant_of(run);
    const CampaignTask & task = plan.campaign.tasks[plan.runs[run].task];
    TaskFigures figures{variant.model, variant.quantization, task.id, task.form, task.use};
    figures.n_questions = document.at("models")[0].at("n_asked");
    const Json chance = document.at("task").value("random_chance", Json());
    if (chance.is_number()) figures.random_chance = chance.get<double>();
    figures.device = document.at("device").at("description");
    figures.file = plan.result_path_of(run).lexically_relative(plan.campaign.out_dir).generic_string();
    for (const std::string & name : eval::metrics(*eval::form_named(task.form))) {
        const size_t n_right = document.at("models")[0].at("metrics").at(name).at("n_right");
        TaskMetric metric{name, n_right, static_cast<double>(n_right) / static_cast<double>(figures.n_questions),
                          eval::wilson95(n_right, figures.n_questions)};
        if (reference != nullptr && reference != &document)
            metric.against_reference = compare(*reference, document, name);
        figures.metrics.push_back(std::move(metric));
    }
    return figures;
}

}  // namespace

std::vector<TaskFigures> task_figures(const CampaignPlan & plan) {
    std::vector<TaskFigures> result;
    if (plan.campaign.tasks.empty()) return result;
    for (size_t model = 0; model < plan.campaign.models.size(); ++model) {
        const std::optional<size_t> reference = reference_of(plan, model);
        for (size_t task = 0; task < plan.campaign.tasks.size(); ++task) {
            const auto base = reference ? valid_run(plan, *reference, task) : std::nullopt;
            for (size_t variant = 0; variant < plan.variants.size(); ++variant) {
                if (plan.variants[variant].campaign_model != model) continue;
                const auto run = valid_run(plan, variant, task);
                if (!run) continue;
                result.push_back(figures_of(plan, *run, base ? &plan.results[*base].document : nullptr));
                if (base) result.back().reference = plan.variants[*reference].quantization;
            }
        }
    }
    return result;
}

}  // namespace shimmy::lab

#include "report/figures/tasks.h"

#include <fmt/format.h>

#include <optional>

namespace shimmy::report {

namespace {

std::vector<const lab::TaskFigures *> tasks_of(const lab::Summary & summary, const std::string & model) {
    std::vector<const lab::TaskFigures *> found;
    for (const lab::TaskFigures & task : summary.tasks) {
        if (task.model == model) found.push_back(&task);
    }
    return found;
}

std::string score_text(const lab::TaskMetric & metric) {
    return fmt::format("{} {:.1f}% [{:.1f}, {:.1f}]", metric.name, 100.0 * metric.share, 100.0 * metric.ci95.low,
                       100.0 * metric.ci95.high);
}

std::string p_text(double p) {
    return p < 0.001 ? "p < 0.001" : fmt::format("p = {:.2g}", p);
}

bool is_clear(const lab::TaskComparison & comparison) {
    return comparison.ci95.low > 0.0 || comparison.ci95.high < 0.0;
}

std::optional<Finding> task_finding(const lab::Summary & summary, const std::string & model, const std::string & task) {
    Json clear = Json::array();
    Json unclear = Json::array();
    const lab::TaskFigures * last = nullptr;
    for (const lab::TaskFigures * figures : tasks_of(summary, model)) {
        if (figures->task != task || !figures->decisive().against_reference) continue;
        const lab::TaskComparison & comparison = *figures->decisive().against_reference;
        last = figures;
        if (is_clear(comparison))
            clear.push_back({{"type", figures->quantization}, {"points", points_text(comparison)}});
        else
            unclear.push_back(figures->quantization);
    }
    if (last == nullptr) return std::nullopt;
    return Finding{model,
                   "task",
                   {{"task", task},
                    {"metric", last->decisive().name},
                    {"n_questions", last->n_questions},
                    {"reference", last->reference},
                    {"clear", std::move(clear)},
                    {"unclear", std::move(unclear)}}};
}

}  // namespace

std::string points_text(const lab::TaskComparison & comparison) {
    return fmt::format("{:+.1f} points [{:+.1f}, {:+.1f}]", 100.0 * comparison.paired.difference(),
                       100.0 * comparison.ci95.low, 100.0 * comparison.ci95.high);
}

Table task_table(const lab::Summary & summary, const std::string & model) {
    using Align = Table::Align;
    Table table;
    table.columns = {{"task", Align::left},
                     {"type", Align::left},
                     {"questions"},
                     {"score [95% interval]", Align::left},
                     {"against the reference", Align::left},
                     {"McNemar's test", Align::left}};
    for (const lab::TaskFigures * task : tasks_of(summary, model)) {
        std::string scores;
        std::string differences;
        std::string tests;
        for (const lab::TaskMetric & metric : task->metrics) {
            scores += (scores.empty() ? "" : "\n") + score_text(metric);
            if (!metric.against_reference) continue;
            differences += (differences.empty() ? "" : "\n") + points_text(*metric.against_reference);
            tests += (tests.empty() ? "" : "\n") + p_text(metric.against_reference->p);
        }
        const bool is_reference = task->quantization == task->reference;
        table.rows.push_back({task->task, task->quantization, fmt::format("{}", task->n_questions), scores,
                              is_reference          ? "is the reference"
                              : differences.empty() ? "the reference has no result"
                                                    : differences,
                              tests});
    }
    return table;
}

std::vector<Finding> task_findings(const lab::Summary & summary, const std::string & model) {
    std::vector<Finding> findings;
    for (const lab::CampaignTask & task : summary.campaign.tasks) {
        if (auto finding = task_finding(summary, model, task.id)) findings.push_back(std::move(*finding));
    }
    return findings;
}

}  // namespace shimmy::report

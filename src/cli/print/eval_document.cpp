#include "cli/print/eval_document.h"

#include "base/files.h"
#include "base/text/text.h"
#include "eval/answer.h"
#include "eval/proportion.h"
#include "report/text/table.h"

#include <fmt/format.h>

namespace shimmy::cli {

namespace {

using report::Table;

double share(const eval::Evaluation & evaluation, size_t metric) {
    return static_cast<double>(evaluation.n_right(metric)) / static_cast<double>(evaluation.asked.size());
}

Json metrics_json(const eval::Task & task, const eval::Evaluation & evaluation) {
    Json result = Json::object();
    const std::vector<std::string> names = eval::metrics(task.form);
    for (size_t metric = 0; metric < names.size(); ++metric) {
        const eval::Interval ci = eval::wilson95(evaluation.n_right(metric), evaluation.asked.size());
        result[names[metric]] = {
            {"n_right", evaluation.n_right(metric)}, {"share", share(evaluation, metric)}, {"ci95", {ci.low, ci.high}}};
    }
    return result;
}

Json question_json(const eval::Task & task, const eval::Asked & asked) {
    const eval::Question & question = *asked.question;
    Json right = Json::object();
    const std::vector<std::string> names = eval::metrics(task.form);
    for (size_t metric = 0; metric < names.size(); ++metric)
        right[names[metric]] = static_cast<bool>(asked.right[metric]);
    if (eval::is_generated(task.form)) {
        return {{"question", question.number},
                {"right", right},
                {"answer", eval::final_answer(question.answer)},
                {"found", asked.found},
                {"text", asked.text}};
    }
    return {{"question", question.number},
            {"right", right},
            {"answers", question.right},
            {"chosen", asked.chosen},
            {"log_likelihoods", asked.scores.log_likelihoods},
            {"normalized", asked.scores.normalized}};
}

std::string percent_text(double value) {
    return fmt::format("{:.1f}%", 100.0 * value);
}

std::string name_of(const EvaluatedModel & model) {
    return printable(fs::path(model.file).filename().string(), 60);
}

std::string comparison_text(const eval::Task & task, const EvaluatedModel & first, const EvaluatedModel & second) {
    std::string text;
    const std::vector<std::string> names = eval::metrics(task.form);
    for (size_t metric = 0; metric < names.size(); ++metric) {
        const eval::Paired paired = eval::pair(first.evaluation.right(metric), second.evaluation.right(metric));
        const eval::Interval ci = eval::difference95(paired);
        text += fmt::format(
            "{} against {}, {}: {:+.1f} points [{:+.1f}, {:+.1f}]; of {} questions {} only right in the second, {} only "
            "in the first; McNemar p = {:.2g}\n",
            name_of(second), name_of(first), names[metric], 100.0 * paired.difference(), 100.0 * ci.low,
            100.0 * ci.high, paired.n, paired.n_only_second, paired.n_only_first, eval::mcnemar_exact(paired));
    }
    return text;
}

}  // namespace

Json to_json(const eval::Task & task, const EvaluatedModel & model) {
    Json questions = Json::array();
    for (const eval::Asked & asked : model.evaluation.asked)
        questions.push_back(question_json(task, asked));
    return {{"file", model.file},
            {"sha256", model.sha256},
            {"quant", model.quantization},
            {"placement", model.placement},
            {"n_asked", model.evaluation.asked.size()},
            {"stopped", model.evaluation.stopped},
            {"metrics", metrics_json(task, model.evaluation)},
            {"questions", questions}};
}

Json comparisons_json(const eval::Task & task, const std::vector<EvaluatedModel> & models) {
    Json result = Json::array();
    const std::vector<std::string> names = eval::metrics(task.form);
    for (size_t i = 1; i < models.size(); ++i) {
        for (size_t metric = 0; metric < names.size(); ++metric) {
            const eval::Paired paired =
                eval::pair(models[0].evaluation.right(metric), models[i].evaluation.right(metric));
            const eval::Interval ci = eval::difference95(paired);
            result.push_back({{"first", models[0].file},
                              {"second", models[i].file},
                              {"metric", names[metric]},
                              {"n_questions", paired.n},
                              {"n_both_right", paired.n_both},
                              {"n_only_first_right", paired.n_only_first},
                              {"n_only_second_right", paired.n_only_second},
                              {"difference", paired.difference()},
                              {"difference_ci95", {ci.low, ci.high}},
                              {"mcnemar_p", eval::mcnemar_exact(paired)}});
        }
    }
    return result;
}

std::string eval_text(const eval::Task & task, const std::vector<EvaluatedModel> & models) {
    Table table;
    table.columns = {{"model", Table::Align::left}, {"type", Table::Align::left}, {"asked"}};
    const std::vector<std::string> names = eval::metrics(task.form);
    for (const std::string & name : names)
        table.columns.push_back({name + " [95% interval]"});
    for (const EvaluatedModel & model : models) {
        std::vector<std::string> row{name_of(model), model.quantization,
                                     fmt::format("{}", model.evaluation.asked.size())};
        for (size_t metric = 0; metric < names.size(); ++metric) {
            const eval::Interval ci = eval::wilson95(model.evaluation.n_right(metric), model.evaluation.asked.size());
            row.push_back(fmt::format("{} [{}, {}]", percent_text(share(model.evaluation, metric)),
                                      percent_text(ci.low), percent_text(ci.high)));
        }
        table.rows.push_back(std::move(row));
    }
    std::string text = table.text();
    if (models.size() > 1) text += "\n";
    for (size_t i = 1; i < models.size(); ++i)
        text += comparison_text(task, models[0], models[i]);
    return text;
}

}  // namespace shimmy::cli

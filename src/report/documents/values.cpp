#include "report/documents/values.h"

#include "report/conclusions/findings.h"
#include "report/conclusions/questions.h"
#include "report/conclusions/uses.h"
#include "report/figures/axes.h"
#include "report/figures/experts.h"
#include "report/figures/hardware.h"
#include "report/figures/imported.h"
#include "report/figures/pareto.h"
#include "report/figures/sources.h"
#include "report/figures/tables.h"
#include "report/figures/tasks.h"
#include "report/text/text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace shimmy::report {

namespace {

std::string file_code(const fs::path & path) {
    return markdown_code(path.filename().string());
}

Json quality_values(const ModelQuality * quality) {
    if (quality == nullptr) return nullptr;
    return {{"base_file", file_code(quality->base_file)},
            {"text_file", file_code(quality->text_file)},
            {"text_sha256", quality->text_sha256},
            {"n_chunks", quality->n_chunks},
            {"n_ctx", quality->n_ctx}};
}

Json findings_values(const std::vector<Finding> & findings) {
    Json list = Json::array();
    for (const Finding & finding : findings)
        list.push_back({{"model", finding.model}, {"text", markdown_text(finding.text)}});
    return list;
}

// Of an axis all its values: "512, 2048".
Json one_or_all(const lab::Campaign & campaign, const char * key, int value) {
    const lab::Axis * axis = campaign.axes.find(key);
    return axis == nullptr ? Json(value) : Json(fmt::format("{}", fmt::join(axis->values, ", ")));
}

Json axes_values(const lab::Axes & axes) {
    Json list = Json::array();
    for (const lab::Axis & axis : axes.list)
        list.push_back({{"name", axis.key},
                        {"values", fmt::format("{}", fmt::join(axis.values, ", "))},
                        {"base", axis.values.front()},
                        {"varied", axis.values.size() > 1}});
    return list;
}

Json tasks_values(const lab::Summary & summary) {
    Json list = Json::array();
    for (const lab::CampaignTask & task : summary.campaign.tasks) {
        Json chance = "";
        for (const lab::TaskFigures & figures : summary.tasks) {
            if (figures.task == task.id && figures.random_chance)
                chance = fmt::format("{:.1f}", 100.0 * *figures.random_chance);
        }
        list.push_back({{"id", task.id},
                        {"file_code", file_code(task.file)},
                        {"sha256", task.sha256},
                        {"form", task.form},
                        {"use", task.use},
                        {"n_questions", task.n_questions},
                        {"n_shots", task.n_shots},
                        {"random_chance", chance}});
    }
    return list;
}

Json campaign_values(const lab::Summary & summary) {
    const lab::Campaign & campaign = summary.campaign;
    Json prompts = Json::array();
    for (const lab::Prompt & prompt : campaign.prompts)
        prompts.push_back({{"id", prompt.id},
                           {"text", markdown_text(prompt.text)},
                           {"use", prompt.use},
                           {"why", markdown_text(prompt.why)}});
    return {{"name", campaign.name},
            {"creator", markdown_text(campaign.creator)},
            {"prompts", prompts},
            {"tasks", tasks_values(summary)},
            {"repeats", campaign.repeats},
            {"n_ctx", one_or_all(campaign, "n_ctx", campaign.n_ctx)},
            {"max_tokens", one_or_all(campaign, "max_tokens", campaign.max_tokens)},
            {"temperature", fmt::format("{}", campaign.temperature)},
            {"seed", campaign.seed},
            {"design", lab::to_string(campaign.axes.design)},
            {"axes", axes_values(campaign.axes)}};
}

Json missing_values(const std::vector<lab::MissingRun> & missing) {
    Json runs = Json::array();
    for (const lab::MissingRun & run : missing)
        runs.push_back({{"run", run.what},
                        {"model", run.model},
                        {"state", run.failed ? "failed" : "missing"},
                        {"reason", markdown_text(run.reason)}});
    return runs;
}

}  // namespace

std::string markdown_or_nothing(const Table & table) {
    if (table.rows.empty()) return "";
    std::string text = table.markdown();
    text.pop_back();  // its line break
    return text;
}

namespace {

Json uses_values(const lab::Summary & summary, const std::string & model) {
    Json list = Json::array();
    for (const UseAdvice & advice : advise(summary, model)) {
        Json as_fast = Json::array();
        for (const UseChoice & choice : advice.choices) {
            if (!choice.as_fast.empty())
                as_fast.push_back(fmt::format("Not clearly faster than {} {}: {}.", choice.quantization,
                                              engine::to_string(choice.placement), fmt::join(choice.as_fast, ", ")));
        }
        list.push_back({{"use", advice.use},
                        {"title", advice.title},
                        {"basis", advice.basis},
                        {"missing", advice.missing},
                        {"left_out", advice.left_out},
                        {"as_fast", as_fast}});
    }
    return list;
}

Json questions_values(const lab::Summary & summary, const std::string & model, const Quality & quality) {
    Json list = Json::array();
    for (const Question & item : answered_questions(summary, model, quality)) {
        Json answer = Json::array();
        for (const std::string & line : item.answer)
            answer.push_back(markdown_text(line));
        list.push_back({{"question", item.question}, {"answer", answer}});
    }
    return list;
}

// The list stands once in a document, under its anchor; tables and charts lead there.
Json source_values(const std::string & model, const char * kind, const std::vector<Source> & sources) {
    if (sources.empty()) return {{"link", ""}, {"list", ""}};
    const std::string anchor = fmt::format("runs-{}-{}", model, kind);
    return {{"link", fmt::format("[{}](#{})", n_files_text(sources), anchor)},
            {"list", fmt::format("<a id=\"{}\"></a>\n\n{}", anchor, file_list(sources))}};
}

Json model_values(const lab::Summary & summary, const Quality & quality, const std::string & name) {
    const lab::CampaignModel & model = summary.model(name);
    const lab::InputInfo & info = summary.input(name);
    const Json base = source_values(name, "base", base_sources(summary, name));
    Json all_cells = source_values(name, "cells", cell_sources(summary, name));
    if (file_list(cell_sources(summary, name)) == file_list(base_sources(summary, name)))
        all_cells = {{"link", base["link"]}, {"list", ""}};
    return {{"name", name},
            {"base_model", markdown_text(model.base_model)},
            {"license", markdown_text(model.license)},
            {"title", markdown_text(model.base_model.empty() ? name : model.base_model)},
            {"file", file_code(model.path)},
            {"synthetic", model.is_synthetic()},
            {"shape", markdown_text(fs::path(model.shape).filename().string())},
            {"arch", markdown_text(info.arch)},
            {"arch_code", info.arch.empty() ? "" : markdown_code(info.arch)},
            {"n_layer", info.n_layer},
            {"n_expert", info.n_expert},
            {"n_ctx_train", info.n_ctx_train},
            {"quality", quality_values(quality.of(name))},
            {"quality_command", quality.command(name)},
            {"uses", uses_values(summary, name)},
            {"questions", questions_values(summary, name, quality)},
            {"charts", Json::array()},
            {"sources",
             {{"base", base},
              {"cells", all_cells},
              {"streaming", source_values(name, "streaming", streaming_sources(summary, name))},
              {"load", source_values(name, "load", load_sources(summary, name))},
              {"tasks", source_values(name, "tasks", task_sources(summary, name))},
              {"quality",
               quality.of(name) == nullptr ? "" : fmt::format("[quality/{}.json](quality/{}.json)", name, name)}}},
            {"tables",
             {{"comparison", markdown_or_nothing(comparison_table(summary, name))},
              {"cells", markdown_or_nothing(cell_table(summary, name))},
              {"streaming", markdown_or_nothing(streaming_table(summary, name))},
              {"load", markdown_or_nothing(load_table(summary, name))},
              {"effects", markdown_or_nothing(effects_table(summary, name))},
              {"quality", markdown_or_nothing(quality_table(summary, name, quality))},
              {"offload", markdown_or_nothing(offload_table(summary, name, quality))},
              {"pareto", markdown_or_nothing(pareto_table(summary, name, quality))},
              {"recommendations", markdown_or_nothing(recommendation_table(summary, name, quality))},
              {"cards", markdown_or_nothing(hardware_table(summary, name))},
              {"experts", markdown_or_nothing(experts_table(summary, name))},
              {"uses", markdown_or_nothing(use_table(summary, name))},
              {"tasks", markdown_or_nothing(task_table(summary, name))},
              {"files", markdown_or_nothing(file_table(summary, name))}}}};
}

// Of a table whose texts come from outside.
Table safe_table(Table table) {
    for (std::vector<std::string> & row : table.rows) {
        for (std::string & cell : row)
            cell = markdown_text(cell);
    }
    return table;
}

}  // namespace

Json document_values(const lab::Summary & summary, const Quality & quality, const Commands & commands,
                     const std::vector<lab::ImportedFile> & imported) {
    const lab::Conditions & conditions = summary.conditions;
    Json models = Json::array();
    for (const lab::CampaignModel & model : summary.campaign.models)
        models.push_back(model_values(summary, quality, model.name));
    return {{"campaign", campaign_values(summary)},
            {"shimmy_version", conditions.shimmy_version},
            {"llama_cpp_version", conditions.llama_cpp_version},
            {"device", markdown_text(device_line(conditions))},
            {"software", conditions.device.software},
            {"host", markdown_text(host_line(conditions))},
            {"n_threads", one_or_all(summary.campaign, "threads", conditions.n_threads)},
            {"n_valid_runs", summary.n_valid_runs},
            {"first_run_at", conditions.first_run_at},
            {"last_run_at", conditions.last_run_at},
            {"interval_rule", lab::INTERVAL_RULE},
            {"outlier_rule", lab::OUTLIER_RULE},
            {"findings", findings_values(find_findings(summary))},
            {"anomalies", findings_values(find_anomalies(summary, quality))},
            {"missing", missing_values(summary.missing)},
            {"models", models},
            {"imported", markdown_or_nothing(safe_table(imported_table(summary, imported)))},
            {"commands", {{"run", commands.run}, {"publish", commands.publish}}}};
}

}  // namespace shimmy::report

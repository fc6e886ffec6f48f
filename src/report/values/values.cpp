#include "report/values/values.h"

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
#include "report/values/wording.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace shimmy::report {

namespace {

// Writes values for one document: in its markup, worded by its templates.
class Values {
public:
    Values(const Sources & sources, const Templates & templates, Markup markup)
        : summary_(sources.summary),
          quality_(sources.quality),
          sources_(sources),
          templates_(templates),
          markup_(markup) {}

    Json document() const;

private:
    std::string text(const std::string & from_outside) const { return text_in(markup_, from_outside); }
    std::string code(const std::string & from_outside) const { return code_in(markup_, from_outside); }
    std::string file_code(const fs::path & path) const { return code(path.filename().string()); }
    std::string table(const Table & table) const { return table_in(markup_, table); }
    // What this program wrote itself needs nothing in Markdown.
    std::string own(const std::string & text) const { return markup_ == Markup::html ? text_in(markup_, text) : text; }
    Json own(const std::vector<std::string> & list) const;
    Json said(const std::vector<Finding> & findings) const;  // with texts from outside
    Json own_said(const std::vector<Finding> & findings) const { return own(sentences(templates_, findings)); }

    Json quality_values(const ModelQuality * quality) const;
    Json findings_values(const std::vector<Finding> & findings) const;
    Json tasks_values() const;
    Json campaign_values() const;
    Json missing_values() const;
    Json uses_values(const std::string & model) const;
    Json questions_values(const std::string & model) const;
    Json recommendations_values(const std::string & model) const;
    Json tables_values(const std::string & model) const;
    Json model_values(const std::string & name) const;

    const lab::Summary & summary_;
    const Quality & quality_;
    const Sources & sources_;
    const Templates & templates_;
    Markup markup_;
};

Json Values::own(const std::vector<std::string> & list) const {
    Json all = Json::array();
    for (const std::string & one : list)
        all.push_back(own(one));
    return all;
}

Json Values::said(const std::vector<Finding> & findings) const {
    Json list = Json::array();
    for (const std::string & sentence : sentences(templates_, findings))
        list.push_back(text(sentence));
    return list;
}

Json Values::quality_values(const ModelQuality * quality) const {
    if (quality == nullptr) return nullptr;
    return {{"base_file", file_code(quality->base_file)},
            {"text_file", file_code(quality->text_file)},
            {"text_sha256", quality->text_sha256},
            {"n_chunks", quality->n_chunks},
            {"n_ctx", quality->n_ctx}};
}

Json Values::findings_values(const std::vector<Finding> & findings) const {
    const Json all = said(findings);
    Json list = Json::array();
    for (size_t i = 0; i < findings.size(); ++i)
        list.push_back({{"model", findings[i].model}, {"text", all[i]}});
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

Json Values::tasks_values() const {
    Json list = Json::array();
    for (const lab::CampaignTask & task : summary_.campaign.tasks) {
        Json chance = "";
        for (const lab::TaskFigures & figures : summary_.tasks) {
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

Json Values::campaign_values() const {
    const lab::Campaign & campaign = summary_.campaign;
    Json prompts = Json::array();
    for (const lab::Prompt & prompt : campaign.prompts)
        prompts.push_back(
            {{"id", own(prompt.id)}, {"text", text(prompt.text)}, {"use", prompt.use}, {"why", text(prompt.why)}});
    return {{"name", campaign.name},
            {"creator", text(campaign.creator)},
            {"prompts", prompts},
            {"tasks", tasks_values()},
            {"repeats", campaign.repeats},
            {"n_ctx", one_or_all(campaign, "n_ctx", campaign.n_ctx)},
            {"max_tokens", one_or_all(campaign, "max_tokens", campaign.max_tokens)},
            {"temperature", fmt::format("{}", campaign.temperature)},
            {"seed", campaign.seed},
            {"has_streaming", std::ranges::count(campaign.modes, lab::Mode::stream) > 0},
            {"has_load", !campaign.load.clients.empty()},
            {"design", lab::to_string(campaign.axes.design)},
            {"axes", axes_values(campaign.axes)}};
}

Json Values::missing_values() const {
    Json runs = Json::array();
    for (const lab::MissingRun & run : summary_.missing)
        runs.push_back({{"run", own(run.what)},
                        {"model", run.model},
                        {"state", run.failed ? "failed" : "missing"},
                        {"reason", text(run.reason)}});
    return runs;
}

Json Values::uses_values(const std::string & model) const {
    Json list = Json::array();
    for (const UseAdvice & advice : advise(summary_, model)) {
        std::vector<Finding> as_fast;
        for (const UseChoice & choice : advice.choices) {
            if (!choice.as_fast.empty())
                as_fast.push_back({model, "use_as_fast", {{"cell", choice.cell()}, {"others", choice.as_fast}}});
        }
        list.push_back({{"use", advice.use},
                        {"title", advice.title},
                        {"basis", advice.basis ? own_said({*advice.basis}).front() : Json("")},
                        {"missing", own(advice.missing)},
                        {"left_out", own_said(advice.left_out)},
                        {"as_fast", own_said(as_fast)}});
    }
    return list;
}

Json Values::questions_values(const std::string & model) const {
    Json list = Json::array();
    for (const Question & item : answered_questions(summary_, model, quality_))
        list.push_back({{"question", own_said({item.question}).front()}, {"answer", said(item.answer)}});
    return list;
}

Json Values::recommendations_values(const std::string & model) const {
    std::vector<Finding> findings;
    for (const Recommendation & recommendation : recommendations(summary_, model, quality_))
        findings.push_back(finding_of(recommendation, model));
    return said(findings);
}

// The list stands once in a document, under its anchor; tables and charts lead there.
Json source_values(const std::string & model, const char * kind, const std::vector<Source> & sources) {
    if (sources.empty()) return {{"link", ""}, {"list", ""}};
    const std::string anchor = fmt::format("runs-{}-{}", model, kind);
    return {{"link", fmt::format("[{}](#{})", n_files_text(sources), anchor)},
            {"list", fmt::format("<a id=\"{}\"></a>\n\n{}", anchor, file_list(sources))}};
}

Json Values::tables_values(const std::string & name) const {
    return {{"comparison", table(comparison_table(summary_, name))},
            {"cells", table(cell_table(summary_, name))},
            {"streaming", table(streaming_table(summary_, name))},
            {"load", table(load_table(summary_, name))},
            {"effects", table(effects_table(summary_, name))},
            {"quality", table(quality_table(summary_, name, quality_))},
            {"offload", table(offload_table(summary_, name, quality_))},
            {"pareto", table(pareto_table(summary_, name, quality_))},
            {"recommendations", table(recommendation_table(summary_, name, quality_))},
            {"cards", table(hardware_table(summary_, name))},
            {"experts", table(experts_table(summary_, name))},
            {"uses", table(use_table(summary_, name))},
            {"tasks", table(task_table(summary_, name))},
            {"files", table(file_table(summary_, name))}};
}

Json Values::model_values(const std::string & name) const {
    const lab::CampaignModel & model = summary_.model(name);
    const lab::InputInfo & info = summary_.input(name);
    const Json base = source_values(name, "base", base_sources(summary_, name));
    Json all_cells = source_values(name, "cells", cell_sources(summary_, name));
    if (file_list(cell_sources(summary_, name)) == file_list(base_sources(summary_, name)))
        all_cells = {{"link", base["link"]}, {"list", ""}};
    const auto predicted = sources_.predicted_cards.find(name);
    const bool is_predicted = predicted != sources_.predicted_cards.end();
    return {{"name", name},
            {"base_model", text(model.base_model)},
            {"about", text(model.about)},
            {"license", text(model.license)},
            {"title", text(model.base_model.empty() ? name : model.base_model)},
            {"file", file_code(model.path)},
            {"synthetic", model.is_synthetic()},
            {"shape", text(fs::path(model.shape).filename().string())},
            {"arch", text(info.arch)},
            {"arch_code", info.arch.empty() ? "" : code(info.arch)},
            {"n_layer", info.n_layer},
            {"n_expert", info.n_expert},
            {"n_ctx_train", info.n_ctx_train},
            {"prompt_format", block_in(markup_, info.prompt_format)},
            {"sampling", own(info.sampling)},
            {"quality", quality_values(quality_.of(name))},
            {"quality_command", own(quality_.command(name))},
            {"uses", uses_values(name)},
            {"questions", questions_values(name)},
            {"recommendations", recommendations_values(name)},
            {"charts", Json::array()},
            {"sources",
             {{"base", base},
              {"cells", all_cells},
              {"streaming", source_values(name, "streaming", streaming_sources(summary_, name))},
              {"load", source_values(name, "load", load_sources(summary_, name))},
              {"tasks", source_values(name, "tasks", task_sources(summary_, name))},
              {"quality",
               quality_.of(name) == nullptr ? "" : fmt::format("[quality/{}.json](quality/{}.json)", name, name)}}},
            {"predicted_cards", is_predicted ? table(predicted->second.table) : ""},
            {"predicted_n_ctx", is_predicted ? predicted->second.n_ctx : 0},
            {"tables", tables_values(name)}};
}

// For Markdown, a table whose texts come from outside. HTML's are safe in any case.
Table safe_table(Table table) {
    for (std::vector<std::string> & row : table.rows) {
        for (std::string & cell : row)
            cell = markdown_text(cell);
    }
    return table;
}

// Of a model, and of the whole campaign.
Json texts_of(const Json & findings, const std::string & model) {
    Json texts = Json::array();
    for (const Json & finding : findings) {
        if (finding["model"] == "" || finding["model"] == model) texts.push_back(finding["text"]);
    }
    return texts;
}

Json Values::document() const {
    const lab::Conditions & conditions = summary_.conditions;
    const Commands & commands = sources_.commands;
    const Table imported = imported_table(summary_, sources_.imported);
    const Json findings = findings_values(find_findings(summary_));
    const Json anomalies = findings_values(find_anomalies(summary_, quality_));
    Json models = Json::array();
    for (const lab::CampaignModel & model : summary_.campaign.models) {
        Json values = model_values(model.name);
        values["findings"] = texts_of(findings, model.name);
        values["anomalies"] = texts_of(anomalies, model.name);
        models.push_back(std::move(values));
    }
    return {{"campaign", campaign_values()},
            {"shimmy_version", conditions.shimmy_version},
            {"llama_cpp_version", conditions.llama_cpp_version},
            {"device", text(device_line(conditions))},
            {"software", conditions.device.software},
            {"host", text(host_line(conditions))},
            {"n_threads", one_or_all(summary_.campaign, "threads", conditions.n_threads)},
            {"n_valid_runs", summary_.n_valid_runs},
            {"first_run_at", conditions.first_run_at},
            {"last_run_at", conditions.last_run_at},
            {"interval_rule", own(lab::INTERVAL_RULE)},
            {"outlier_rule", own(lab::OUTLIER_RULE)},
            {"findings", findings},
            {"anomalies", anomalies},
            {"missing", missing_values()},
            {"models", models},
            {"imported", table(markup_ == Markup::html ? imported : safe_table(imported))},
            {"commands",
             {{"run", own(commands.run)}, {"experts", own(commands.experts)}, {"publish", own(commands.publish)}}}};
}

}  // namespace

Json document_values(const Sources & sources, const Templates & templates, Markup markup) {
    return Values(sources, templates, markup).document();
}

}  // namespace shimmy::report

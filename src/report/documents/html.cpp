#include "report/documents/html.h"

#include "base/json.h"
#include "lab/measure/summary_json.h"
#include "report/conclusions/findings.h"
#include "report/conclusions/questions.h"
#include "report/conclusions/uses.h"
#include "report/documents/assets.h"
#include "report/figures/imported.h"
#include "report/figures/pareto.h"
#include "report/figures/tables.h"
#include "report/figures/tasks.h"

#include <map>

namespace shimmy::report {

namespace {

Json findings_json(const std::vector<Finding> & findings) {
    Json list = Json::array();
    for (const Finding & finding : findings)
        list.push_back({{"model", finding.model}, {"text", finding.text}});
    return list;
}

Json table_json(const Table & table) {
    Json titles = Json::array();
    Json align = Json::array();
    for (const Table::Column & column : table.columns) {
        titles.push_back(column.title);
        align.push_back(column.align == Table::Align::left ? "left" : "right");
    }
    return {{"columns", titles}, {"align", align}, {"rows", table.rows}};
}

// JSON inside a <script>: no text of it may end the element.
std::string embedded(const Json & json) {
    std::string out;
    for (const char c : json_text(json, -1))
        out += c == '<' ? std::string("\\u003c") : std::string(1, c);
    return out;
}

std::string escaped(const std::string & text) {
    static const std::map<char, std::string> entities{{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}};
    std::string out;
    for (const char c : text) {
        const auto found = entities.find(c);
        out += found == entities.end() ? std::string(1, c) : found->second;
    }
    return out;
}

// Replaces @NAME@ in one pass, so that what is put in is not looked at again.
std::string fill_in(std::string_view page, const std::map<std::string_view, std::string_view> & values) {
    std::string out;
    while (!page.empty()) {
        const size_t at = page.find('@');
        out += page.substr(0, at);
        if (at == std::string_view::npos) break;
        const size_t end = page.find('@', at + 1);
        const auto found =
            end == std::string_view::npos ? values.end() : values.find(page.substr(at + 1, end - at - 1));
        if (found == values.end()) {
            out += '@';
            page.remove_prefix(at + 1);
            continue;
        }
        out += found->second;
        page.remove_prefix(end + 1);
    }
    return out;
}

}  // namespace

std::string html_report(const lab::Summary & summary, const Quality & quality, const Commands & commands,
                        const std::vector<lab::ImportedFile> & imported) {
    Json quality_documents = Json::object();
    Json quality_commands = Json::object();
    Json pareto = Json::object();
    Json recommended = Json::object();
    Json tables = Json::object();
    Json questions = Json::object();
    for (const lab::CampaignModel & model : summary.campaign.models) {
        const std::string & name = model.name;
        quality_commands[name] = quality.command(name);
        pareto[name] = pareto_json(summary, name, quality);
        questions[name] = Json::array();
        for (const Question & item : answered_questions(summary, name, quality))
            questions[name].push_back({{"question", item.question}, {"answer", item.answer}});
        tables[name] = {{"uses", table_json(use_table(summary, name))},
                        {"tasks", table_json(task_table(summary, name))},
                        {"quality", table_json(quality_table(summary, name, quality))},
                        {"offload", table_json(offload_table(summary, name, quality))},
                        {"files", table_json(file_table(summary, name))}};
        recommended[name] = Json::array();
        for (const Recommendation & line : recommendations(summary, name, quality))
            recommended[name].push_back(sentence(line));
        if (const ModelQuality * measured = quality.of(name)) quality_documents[name] = measured->document;
    }
    Json data{{"summary", lab::to_json(summary)},
              {"table_mode", lab::to_string(summary.table_mode())},
              {"findings", findings_json(find_findings(summary))},
              {"anomalies", findings_json(find_anomalies(summary, quality))},
              {"quality", quality_documents},
              {"pareto", pareto},
              {"recommendations", recommended},
              {"tables", tables},
              {"questions", questions},
              {"commands", {{"run", commands.run}, {"experts", commands.experts}, {"quality", quality_commands}}}};
    if (!imported.empty()) data["imported"] = table_json(imported_table(summary, imported));
    const std::string title = escaped("Campaign " + summary.campaign.name);
    const std::string licenses =
        escaped(std::string(assets::echarts_notice()) + "\n" + std::string(assets::echarts_license()) + "\n" +
                std::string(assets::echarts_d3_license()));
    const std::string json = embedded(data);
    return fill_in(assets::page_html(), {{"TITLE", title},
                                         {"CSS", assets::page_css()},
                                         {"LICENSES", licenses},
                                         {"ECHARTS", assets::echarts_js()},
                                         {"DATA", json},
                                         {"JS", assets::page_js()}});
}

}  // namespace shimmy::report

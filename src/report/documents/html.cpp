#include "report/documents/html.h"

#include "base/json.h"
#include "report/charts/chart_json.h"
#include "report/charts/model_charts.h"
#include "report/documents/assets.h"

namespace shimmy::report {

namespace {

// JSON inside a <script>: no text of it may end the element.
std::string embedded(const Json & json) {
    std::string out;
    for (const char c : json_text(json, -1))
        out += c == '<' ? std::string("\\u003c") : std::string(1, c);
    return out;
}

// {"models": names, "charts": {"<model>": [charts]}}
Json page_data(const Sources & sources) {
    Json data{{"models", Json::array()}, {"charts", Json::object()}};
    for (const lab::CampaignModel & model : sources.summary.campaign.models) {
        Json charts = Json::array();
        for (const Chart & chart : page_charts(sources.summary, model.name, sources.quality))
            charts.push_back(to_json(chart));
        data["models"].push_back(model.name);
        data["charts"][model.name] = std::move(charts);
    }
    return data;
}

// Licenses hold angle brackets.
std::string licenses() {
    std::string out;
    for (const std::string_view part :
         {assets::echarts_notice(), assets::echarts_license(), assets::echarts_d3_license()}) {
        for (const char c : part)
            out += c == '<' ? "&lt;" : c == '&' ? "&amp;" : c == '>' ? "&gt;" : std::string(1, c);
        out += '\n';
    }
    out.pop_back();
    return out;
}

}  // namespace

std::string html_report(const Sources & sources, const Templates & templates) {
    Json values = document_values(sources, templates, Markup::html);
    values["page"] = {{"css", std::string(assets::page_css())},
                      {"js", std::string(assets::page_js())},
                      {"echarts", std::string(assets::echarts_js())},
                      {"licenses", licenses()},
                      {"data", embedded(page_data(sources))}};
    return templates.render("report.html.jinja", values);
}

}  // namespace shimmy::report

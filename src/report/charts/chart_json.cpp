#include "report/charts/chart_json.h"

#include "base/error.h"

#include <algorithm>
#include <utility>

namespace shimmy::report {

namespace {

using Form = Series::Form;
using Scale = Axis::Scale;

template <typename T>
using Names = std::vector<std::pair<T, const char *>>;

const Names<Form> FORMS{{Form::points, "points"},
                        {Form::lines, "lines"},
                        {Form::bars, "bars"},
                        {Form::stack, "stack"},
                        {Form::grid, "grid"}};
const Names<Scale> SCALES{
    {Scale::linear, "linear"}, {Scale::logarithmic, "logarithmic"}, {Scale::categories, "categories"}};
const Names<Mark> MARKS{{Mark::none, "none"},
                        {Mark::circle, "circle"},
                        {Mark::square, "rect"},  // ECharts' names
                        {Mark::triangle, "triangle"},
                        {Mark::diamond, "diamond"}};

template <typename T>
const char * name_of(const Names<T> & names, T value) {
    return std::find_if(names.begin(), names.end(), [&](const auto & name) { return name.first == value; })->second;
}

template <typename T>
T named(const Names<T> & names, const std::string & text) {
    const auto found = std::find_if(names.begin(), names.end(), [&](const auto & name) { return name.second == text; });
    if (found == names.end()) fail("'{}' is nothing that a chart has", text);
    return found->first;
}

std::optional<double> number_of(const Json & json, const char * key) {
    const auto found = json.find(key);
    return found == json.end() || found->is_null() ? std::nullopt : std::optional(found->get<double>());
}

Json to_json(const Axis & axis) {
    Json json{{"title", axis.title}, {"scale", name_of(SCALES, axis.scale)}, {"from_zero", axis.from_zero}};
    if (axis.scale == Scale::categories) json["categories"] = axis.categories;
    if (axis.zero_at) json["zero_at"] = *axis.zero_at;
    if (axis.top) json["top"] = *axis.top;
    return json;
}

Axis axis_from(const Json & json) {
    Axis axis{json.value("title", "")};
    axis.scale = named(SCALES, json.value("scale", "linear"));
    axis.from_zero = json.value("from_zero", true);
    axis.categories = json.value("categories", std::vector<std::string>());
    axis.zero_at = number_of(json, "zero_at");
    axis.top = number_of(json, "top");
    return axis;
}

ChartPoint point_from(const Json & json) {
    ChartPoint point{json.at("x").get<double>(), json.at("y").get<double>()};
    point.low = number_of(json, "low");
    point.high = number_of(json, "high");
    point.label = json.value("label", "");
    point.more = json.value("more", std::vector<std::string>());
    point.hollow = json.value("hollow", false);
    point.share = json.value("share", 0.0);
    return point;
}

Series series_from(const Json & json, size_t index) {
    Series series{json.value("title", ""), named(FORMS, json.at("form").get<std::string>()), style_of(index)};
    series.style.color = json.value("color", series.style.color);
    if (json.contains("mark")) series.style.mark = named(MARKS, json["mark"].get<std::string>());
    series.is_band = json.value("band", false);
    for (const Json & point : json.at("points"))
        series.points.push_back(point_from(point));
    return series;
}

Json to_json(const ChartPoint & point, Series::Form form) {
    Json json{{"x", point.x}, {"y", point.y}};
    if (point.low) json["low"] = *point.low;
    if (point.high) json["high"] = *point.high;
    if (!point.label.empty()) json["label"] = point.label;
    if (!point.more.empty()) json["more"] = point.more;
    if (point.hollow) json["hollow"] = true;
    if (form == Series::Form::grid) json["share"] = point.share;
    return json;
}

}  // namespace

Json to_json(const Chart & chart) {
    Json all = Json::array();
    for (const Series & series : chart.series) {
        Json points = Json::array();
        for (const ChartPoint & point : series.points)
            points.push_back(to_json(point, series.form));
        all.push_back({{"title", series.title},
                       {"form", name_of(FORMS, series.form)},
                       {"color", series.style.color},
                       {"mark", name_of(MARKS, series.style.mark)},
                       {"band", series.is_band},
                       {"points", points}});
    }
    Json json{{"name", chart.name},
              {"choices", chart.choices},
              {"x", to_json(chart.x)},
              {"y", to_json(chart.y)},
              {"series", all}};
    if (chart.reference) json["reference"] = *chart.reference;
    if (chart.is_wide) json["wide"] = true;
    return json;
}

Chart chart_from(const Json & json) {
    try {
        Chart chart{json.value("name", ""), json.value("title", "")};
        chart.choices = json.value("choices", std::vector<std::string>());
        chart.x = axis_from(json.at("x"));
        chart.y = axis_from(json.at("y"));
        for (const Json & series : json.at("series"))
            chart.series.push_back(series_from(series, chart.series.size()));
        chart.reference = number_of(json, "reference");
        chart.is_wide = json.value("wide", false);
        return chart;
    } catch (const Json::exception & error) {
        fail("this is no chart: {}", error.what());
    }
}

}  // namespace shimmy::report

#include "report/charts/chart_json.h"

namespace shimmy::report {

namespace {

const char * name_of(Series::Form form) {
    switch (form) {
        case Series::Form::points:
            return "points";
        case Series::Form::lines:
            return "lines";
        case Series::Form::bars:
            return "bars";
        case Series::Form::stack:
            return "stack";
        case Series::Form::grid:
            return "grid";
    }
    return "";  // there is no other
}

const char * name_of(Mark mark) {
    switch (mark) {
        case Mark::circle:
            return "circle";
        case Mark::square:
            return "rect";  // ECharts' names
        case Mark::triangle:
            return "triangle";
        case Mark::diamond:
            return "diamond";
        case Mark::none:
            break;
    }
    return "none";
}

Json to_json(const Axis & axis) {
    Json json{{"title", axis.title},
              {"scale", axis.scale == Axis::Scale::linear        ? "linear"
                        : axis.scale == Axis::Scale::logarithmic ? "logarithmic"
                                                                 : "categories"},
              {"from_zero", axis.from_zero}};
    if (axis.scale == Axis::Scale::categories) json["categories"] = axis.categories;
    if (axis.zero_at) json["zero_at"] = *axis.zero_at;
    if (axis.top) json["top"] = *axis.top;
    return json;
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
                       {"form", name_of(series.form)},
                       {"color", series.style.color},
                       {"mark", name_of(series.style.mark)},
                       {"band", series.is_band},
                       {"points", points}});
    }
    return {{"name", chart.name},
            {"choices", chart.choices},
            {"x", to_json(chart.x)},
            {"y", to_json(chart.y)},
            {"series", all}};
}

}  // namespace shimmy::report

// A chart as data: what is drawn, in which units, with which colours and marks. The same description becomes an SVG
// file (report/charts/gnuplot.h) and a chart of the page (report/charts/chart_json.h), so that nothing of it is
// computed twice.
#pragma once

#include "lab/measure/summary.h"

#include <array>
#include <optional>
#include <string>
#include <vector>

namespace shimmy::report {

// Okabe and Ito's colours, which people with a colour vision deficiency can tell apart; the last stands for none of
// what is compared.
inline constexpr std::array COLORS{"#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9"};
inline constexpr const char * NEUTRAL = "#9aa3b2";

enum class Mark { none, circle, square, triangle, diamond };

struct Style {
    std::string color = NEUTRAL;
    Mark mark = Mark::none;
};
Style style_of(size_t index);                                                       // of the first, second, … series
Style style_of(const lab::Summary & summary, const engine::Placement & placement);  // the same in every chart

struct Axis {
    enum class Scale { linear, logarithmic, categories };

    std::string title = {};  // with its unit: "VRAM, GiB"
    Scale scale = Scale::linear;
    bool from_zero = true;                     // else from the least value
    std::vector<std::string> categories = {};  // values are counted from 0; a name may hold line breaks
    std::optional<double> zero_at = {};        // of a logarithmic one: 0 is drawn here, below the lowest decade
    std::optional<double> top = {};            // where it ends
};

struct ChartPoint {
    double x = 0.0;  // of categories, which one
    double y = 0.0;
    std::optional<double> low = {};  // of an interval or a range around y
    std::optional<double> high = {};
    std::string label = {};              // beside it
    std::vector<std::string> more = {};  // lines for whoever points at it
    bool hollow = false;
    double share = 0.0;  // of a cell of a grid, 0 to 1
};

struct Series {
    enum class Form { points, lines, bars, stack, grid };  // `bars` stand side by side, `stack` on one another

    std::string title = {};
    Form form = Form::points;
    Style style = {};
    std::vector<ChartPoint> points = {};
    bool is_band = false;  // of lines: what lies between low and high is shaded
};

struct Chart {
    std::string name;   // its place on the page, its file: "vram"
    std::string title;  // "VRAM by kind"
    Axis x = {};
    Axis y = {};
    std::vector<Series> series = {};
    std::vector<std::string> choices = {};  // of several charts in one place, what this one is of: {"Q4_K_M"}
    bool shows_quality = false;
    std::optional<double> reference = {};  // a line across the chart at this y
    bool is_wide = false;                  // for many bars
};

// Of an axis: GiB or MiB, by the largest value.
struct Unit {
    double bytes;
    const char * name;

    double of(uint64_t n_bytes) const { return static_cast<double>(n_bytes) / bytes; }
};
Unit unit_of(double most_bytes);
Unit unit_of(const std::vector<const lab::Cell *> & cells);  // of their VRAM

std::string short_placement(engine::Placement placement);  // "N=12" for "n_cpu_moe=12"

}  // namespace shimmy::report

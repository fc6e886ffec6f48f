#include "report/charts/gnuplot_script.h"

#include <fmt/format.h>

#include <algorithm>

namespace shimmy::report {

namespace {

constexpr double BELOW_ZERO = 1.6;  // a logarithmic axis begins so much below where 0 is drawn

// Numbers of gnuplot's point types.
int point_type(Mark mark, bool hollow) {
    switch (mark) {
        case Mark::circle:
            return hollow ? 6 : 7;
        case Mark::square:
            return hollow ? 4 : 5;
        case Mark::triangle:
            return hollow ? 8 : 9;
        case Mark::diamond:
            return hollow ? 12 : 13;
        case Mark::none:
            break;
    }
    return 0;
}

// Line breaks inside gnuplot's double quotes are written as \n.
std::string quoted(const std::string & text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '\n')
            out += "\\n";
        else if (c == '"' || c == '\\')
            out += std::string("\\") + c;
        else
            out += c;
    }
    return out + "\"";
}

std::string title_clause(const std::string & title) {
    return title.empty() ? "notitle" : "title " + quoted(title);
}

// Data blocks and the plots of them, in the order in which they are drawn.
struct Script {
    std::string data;
    std::string plots;
    size_t n_blocks = 0;

    std::string block(const std::string & lines) {
        std::string name = fmt::format("$data{}", n_blocks++);
        data += fmt::format("{} << EOD\n{}EOD\n", name, lines);
        return name;
    }
    void plot(const std::string & text) { plots += (plots.empty() ? "" : ", ") + text; }
};

std::string point_line(const ChartPoint & point) {
    return fmt::format("{:.7g} {:.7g} {:.7g} {:.7g} {}\n", point.x, point.y, point.low.value_or(point.y),
                       point.high.value_or(point.y), quoted(point.label));
}

void add_points(const Series & series, bool hollow, const std::string & title, Script & script) {
    std::string lines;
    for (const ChartPoint & point : series.points) {
        if (point.hollow == hollow) lines += point_line(point);
    }
    if (lines.empty()) return;
    const std::string block = script.block(lines);
    script.plot(fmt::format("{} using 1:2:3:4 with yerrorbars pt {} ps 1.2 lw 1.5 lc rgb \"{}\" {}", block,
                            point_type(series.style.mark, hollow), series.style.color, title));
    script.plot(fmt::format("{} using 1:2:5 with labels offset 0.8,0.6 left font \",10\" notitle", block));
}

std::string line_style(const Series & series) {
    if (series.points.size() == 1)  // no line can be drawn
        return fmt::format("points pt {} lc rgb \"{}\"", point_type(Mark::circle, false), series.style.color);
    if (series.style.mark == Mark::none) return fmt::format("lines lw 1.5 lc rgb \"{}\"", series.style.color);
    return fmt::format("linespoints lw 2 pt {} ps 0.5 lc rgb \"{}\"", point_type(series.style.mark, false),
                       series.style.color);
}

void add_line(const Series & series, Script & script) {
    std::string lines;
    for (const ChartPoint & point : series.points)
        lines += point_line(point);
    const auto any = [&](auto has) { return std::any_of(series.points.begin(), series.points.end(), has); };
    const bool has_intervals = any([](const ChartPoint & point) { return point.low.has_value(); });
    const std::string block = script.block(lines);
    const std::string color = fmt::format("lc rgb \"{}\" notitle", series.style.color);
    if (series.is_band) {
        script.plot(
            fmt::format("{} using 1:3:4 with filledcurves fs transparent solid 0.18 noborder {}", block, color));
    } else if (has_intervals) {
        script.plot(fmt::format("{} using 1:2:3:4 with yerrorbars pt 0 lw 1.5 {}", block, color));
    }
    script.plot(fmt::format("{} using 1:2 with {} {}", block, line_style(series), title_clause(series.title)));
    if (any([](const ChartPoint & point) { return !point.label.empty(); }))
        script.plot(fmt::format("{} using 1:2:5 with labels offset 0.8,0.6 left font \",10\" notitle", block));
}

// A box for each cell, as several may be missing.
void add_grid(const Series & series, Script & script) {
    constexpr double PERCENT = 100.0;
    std::string lines;
    for (const ChartPoint & point : series.points)
        lines += fmt::format("{:.7g} {:.7g} {:.4g}\n", point.x, point.y, PERCENT * point.share);
    script.plot(
        fmt::format("{} using 1:2:($1-0.5):($1+0.5):($2-0.5):($2+0.5):3 with boxxyerror fs solid noborder lc "
                    "palette notitle",
                    script.block(lines)));
}

// A line of data for each category, with a column for each series, or three with intervals.
void add_bars(const Chart & chart, bool intervals, Script & script) {
    std::string lines;
    for (size_t i = 0; i < chart.x.categories.size(); ++i) {
        lines += quoted(chart.x.categories[i]);
        for (const Series & series : chart.series) {
            const ChartPoint * point = nullptr;
            for (const ChartPoint & candidate : series.points) {
                if (static_cast<size_t>(candidate.x) == i) point = &candidate;
            }
            if (point == nullptr)
                lines += intervals ? " NaN NaN NaN" : " NaN";
            else if (intervals)
                lines += fmt::format(" {:.7g} {:.7g} {:.7g}", point->y, point->low.value_or(point->y),
                                     point->high.value_or(point->y));
            else
                lines += fmt::format(" {:.7g}", point->y);
        }
        lines += "\n";
    }
    const std::string block = script.block(lines);
    const size_t n_columns = intervals ? 3 : 1;
    for (size_t i = 0; i < chart.series.size(); ++i) {
        const size_t column = 2 + n_columns * i;
        script.plot(fmt::format("{} using {}{}{} {} lc rgb \"{}\"", i == 0 ? block : "''", column,
                                intervals ? fmt::format(":{}:{}", column + 1, column + 2) : "",
                                i == 0 ? ":xtic(1)" : "", title_clause(chart.series[i].title),
                                chart.series[i].style.color));
    }
}

std::string reference_line(const Chart & chart) {
    if (!chart.reference) return "";
    return fmt::format(
        "set arrow from graph 0, first {0:.7g} to graph 1, first {0:.7g} nohead lc rgb \"#5d6675\" dt 2 front\n",
        *chart.reference);
}

std::string bars_style(const Chart & chart, bool stacked) {
    std::ptrdiff_t n_lines = 1;  // of the categories' names
    for (const std::string & name : chart.x.categories)
        n_lines = std::max(n_lines, 1 + std::count(name.begin(), name.end(), '\n'));
    return fmt::format(
        "set style data histograms\nset style histogram {}\n{}set xtics font \",10\"\nset bmargin {:.1f}\n",
        stacked ? "rowstacked" : "errorbars gap 2 lw 1",
        stacked ? "set boxwidth 0.7\n" : "set errorbars 0.4 front lc rgb \"#1d2330\"\n",
        1.5 + static_cast<double>(n_lines));
}

std::string y_axis(const Chart & chart) {
    const Axis & axis = chart.y;
    const bool differences =
        !axis.from_zero && chart.x.scale == Axis::Scale::categories && chart.series.front().form == Series::Form::bars;
    std::string text = fmt::format("set ylabel {}\n", quoted(axis.title));
    if (axis.scale == Axis::Scale::logarithmic && !axis.zero_at)
        text += "set logscale y\nset format y \"%g\"\n";
    else if (axis.scale == Axis::Scale::logarithmic)
        text += fmt::format(
            "set logscale y\nset yrange [{:.3e}:{:.3e}]\nset format y \"%g\"\nset ytics add (\"0\" {:.3e})\n",
            *axis.zero_at / BELOW_ZERO, *axis.top, *axis.zero_at);
    else if (axis.top)
        text += fmt::format("set yrange [0:{:.7g}]\n", *axis.top);
    else if (axis.from_zero)
        text += "set yrange [0:*]\n";
    else if (differences)  // on both sides of 0, which is drawn
        text += "set yrange [*<0:0<*]\nset xzeroaxis lc rgb \"#5d6675\" lt 1\n";
    return text;
}

// Names at 0, 1, …, or at every second, third, …, so that they do not cover one another; half a step of room on both
// sides.
std::string categories_of(const char * axis, const Axis & described, bool downwards) {
    constexpr size_t MOST_NAMES = 24;
    const size_t n = described.categories.size();
    const size_t step = std::max<size_t>(1, (n + MOST_NAMES - 1) / MOST_NAMES);
    std::string names;
    for (size_t i = 0; i < n; i += step)
        names += fmt::format("{}{} {}", i == 0 ? "" : ", ", quoted(described.categories[i]), i);
    const double last = static_cast<double>(n) - 0.5;
    return fmt::format("set {0}tics ({1})\nset {0}range [{2}:{3}]\n", axis, names, downwards ? last : -0.5,
                       downwards ? -0.5 : last);
}

// Room for labels at the right; above, an axis that ends at a decade has it.
std::string x_axis(const Chart & chart) {
    const bool open = chart.y.scale == Axis::Scale::linear && !chart.y.top;
    std::string text = fmt::format("set xlabel {}\n", quoted(chart.x.title));
    if (chart.x.scale == Axis::Scale::categories) return text + categories_of("x", chart.x, false);
    if (chart.x.from_zero) text += "set xrange [0:*]\n";
    return text + fmt::format("set offsets graph 0, graph {}\n", open ? "0.08, graph 0.05, 0" : "0.1, 0, 0");
}

// The first row is at the top.
std::string grid_axes(const Chart & chart) {
    return fmt::format(
        "set xlabel {}\nset ylabel {}\n{}{}unset grid\nset cblabel {}\nset cbrange [0:*]\n"
        "set palette defined (0 \"#440154\", 1 \"#3b528b\", 2 \"#21918c\", 3 \"#5ec962\", 4 \"#fde725\")\n",
        quoted(chart.x.title), quoted(chart.y.title), categories_of("x", chart.x, false),
        categories_of("y", chart.y, true), quoted(chart.series.front().title));
}

}  // namespace

std::string gnuplot_script(const Chart & chart) {
    Script script;
    const Series::Form form = chart.series.empty() ? Series::Form::points : chart.series.front().form;
    const bool stacked = form == Series::Form::stack;
    const bool bars = stacked || form == Series::Form::bars;
    const bool grid = form == Series::Form::grid;
    if (bars) add_bars(chart, !stacked, script);
    for (const Series & series : chart.series) {
        if (series.form == Series::Form::lines) add_line(series, script);
        if (series.form == Series::Form::grid) add_grid(series, script);
        if (series.form != Series::Form::points) continue;
        const bool all_hollow = std::all_of(series.points.begin(), series.points.end(),
                                            [](const ChartPoint & point) { return point.hollow; });
        add_points(series, false, title_clause(series.title), script);
        add_points(series, true, all_hollow ? title_clause(series.title) : "notitle", script);
    }
    return fmt::format("{}{}{}{}set key outside top center horizontal\nplot {}\n", script.data,
                       bars   ? bars_style(chart, stacked)
                       : grid ? grid_axes(chart)
                              : x_axis(chart),
                       grid ? "" : y_axis(chart), reference_line(chart), script.plots);
}

}  // namespace shimmy::report

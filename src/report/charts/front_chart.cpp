#include "report/charts/front_chart.h"

#include "report/charts/gnuplot.h"
#include "report/text/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace shimmy::report {

namespace {

// The axis of divergences is logarithmic, as a coarse type's is hundreds of times a fine one's. The base itself, at 0,
// is drawn below the lowest decade.
struct DivergenceAxis {
    double floor = 0.0;  // where 0 is drawn; 0: every point is at 0, and the axis is linear

    double top = 1.0;  // the decade above the largest, with room for its label

    explicit DivergenceAxis(const std::vector<QualityPoint> & points) {
        double least = 0.0;
        double most = 0.0;
        for (const QualityPoint & point : points) {
            most = std::max(most, point.mean_kld);
            if (point.mean_kld > 0.0 && (least == 0.0 || point.mean_kld < least)) least = point.mean_kld;
        }
        if (least == 0.0) return;
        floor = std::pow(10.0, std::floor(std::log10(least)) - 0.6);
        top = std::pow(10.0, std::ceil(std::log10(1.5 * most)));
    }

    double at(double kld) const { return std::max(kld, floor); }
    std::string script() const {
        if (floor == 0.0) return "set yrange [0:1]\n";
        return fmt::format(
            "set logscale y\nset yrange [{:.3e}:{:.3e}]\nset format y \"%g\"\nset ytics add (\"0\" {:.3e})\n",
            floor / 1.6, top, floor);
    }
};

double error_of(const Quality & quality, const std::string & model, const std::string & quantization) {
    return quality.of(model, quantization)->mean_kld_error;
}

std::string axis_of(Cost cost, const Unit & unit) {
    if (cost == Cost::speed) return "decode rate, tokens/s";
    return fmt::format("{}, {}", to_string(cost), unit.name);
}

// Points of one placement, as gnuplot's data: those on the front are drawn filled, the others hollow.
struct Group {
    std::optional<engine::Placement> placement;
    std::string on_front;
    std::string others;
};

constexpr std::array<std::pair<int, int>, 4> SYMBOLS{{{7, 6}, {5, 4}, {9, 8}, {13, 12}}};  // filled, hollow

// A named block of data, and the plots of it; `title` is empty for none.
void add_points(const std::string & name, const std::string & points, int symbol, const std::string & title,
                const char * color, std::string & data, std::string & plots) {
    if (points.empty()) return;
    data += fmt::format("${} << EOD\n{}EOD\n", name, points);
    plots += fmt::format(
        ", ${0} using 1:2:3:4 with yerrorbars pt {1} ps 1.2 lw 1.5 lc rgb \"{2}\" {3}, ${0} using 1:2:5 with labels "
        "offset 0.8,0.6 left font \",10\" notitle",
        name, symbol, color, title.empty() ? "notitle" : "title \"" + title + "\"");
}

}  // namespace

std::string front_chart(const lab::Summary & summary, const std::string & model, const Quality & quality, Cost cost) {
    std::vector<QualityPoint> points = quality_points(summary, model, quality, cost);
    std::sort(points.begin(), points.end(),
              [](const QualityPoint & a, const QualityPoint & b) { return a.value < b.value; });
    const Unit unit = cost == Cost::speed || points.empty() ? Unit{1.0, ""} : unit_of(points.back().value);
    const DivergenceAxis axis(points);
    std::string front;
    std::vector<Group> groups;
    for (const QualityPoint & point : points) {
        const double error = error_of(quality, model, point.quantization);
        const std::string line =
            fmt::format("{:.6g} {:.6e} {:.6e} {:.6e} \"{}\"\n", point.value / unit.bytes, axis.at(point.mean_kld),
                        axis.at(point.mean_kld - error), axis.at(point.mean_kld + error), point.quantization);
        auto group = std::find_if(groups.begin(), groups.end(),
                                  [&](const Group & other) { return other.placement == point.placement; });
        if (group == groups.end()) group = groups.insert(group, {point.placement, "", ""});
        (point.on_front ? group->on_front : group->others) += line;
        if (point.on_front) front += line;
    }
    std::string data = fmt::format("$front << EOD\n{}EOD\n", front);
    std::string plots = "$front using 1:2 with lines lw 1.5 lc rgb \"#9aa3b2\" title \"Pareto front\"";
    for (size_t i = 0; i < groups.size(); ++i) {
        const auto & [placement, on_front, others] = groups[i];
        const auto & [filled, hollow] = SYMBOLS[i % SYMBOLS.size()];
        const std::string title = placement ? short_placement(*placement) : "";
        const char * color = COLORS[i % COLORS.size()];
        add_points(fmt::format("front{}", i), on_front, filled, title, color, data, plots);
        add_points(fmt::format("other{}", i), others, hollow, on_front.empty() ? title : "", color, data, plots);
    }
    return fmt::format(
        "{}set xrange [0:*]\nset offsets graph 0, graph 0.1, 0, 0\n{}set xlabel \"{}{}\"\n"
        "set ylabel \"mean KL divergence from the original\"\n"
        "set key outside top center horizontal\nplot {}\n",
        data, axis.script(), axis_of(cost, unit),
        cost == Cost::speed && summary.conditions.device.software ? " (software device)" : "", plots);
}

}  // namespace shimmy::report

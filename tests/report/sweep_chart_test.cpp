// The chart of a sweep whose figures are known by hand.
#include "report/charts/sweep_chart.h"

#include <gtest/gtest.h>

namespace shimmy::report {
namespace {

Json step(double rate, double ttft, double e2e) {
    return {{"loop", "open"},
            {"rate", rate},
            {"ttft_ms", {{"p50", ttft}, {"p99", 3 * ttft}}},
            {"e2e_ms", {{"p50", e2e}, {"p99", 2 * e2e}}}};
}

// The closed loop at the start has no rate; of the last step nothing came to its end.
Json sweep() {
    Json late = step(4.8, 9000, 0);
    late["e2e_ms"] = nullptr;
    return {{"steps",
             {{{"loop", "closed"}, {"ttft_ms", {{"p50", 1}, {"p99", 1}}}, {"e2e_ms", nullptr}},
              step(1, 50, 400),
              step(4, 80, 700),
              late}},
            {"saturated_at_rate", 4.8}};
}

TEST(SweepChart, ShowsTheLatenciesOfEveryRate) {
    const Chart chart = sweep_chart(sweep());
    EXPECT_EQ(chart.x.title, "conversations that begin per second (from 4.8 on the server falls behind)");
    EXPECT_EQ(chart.y.title, "ms");
    EXPECT_EQ(chart.y.scale, Axis::Scale::logarithmic);
    const std::vector<std::pair<std::string, std::vector<std::pair<double, double>>>> lines{
        {"TTFT, median", {{1, 50}, {4, 80}, {4.8, 9000}}},
        {"TTFT, 99%", {{1, 150}, {4, 240}, {4.8, 27000}}},
        {"E2E, median", {{1, 400}, {4, 700}}},
        {"E2E, 99%", {{1, 800}, {4, 1400}}}};
    ASSERT_EQ(chart.series.size(), lines.size());
    for (size_t i = 0; i < lines.size(); ++i) {
        const Series & series = chart.series[i];
        EXPECT_EQ(series.title, lines[i].first);
        EXPECT_EQ(series.form, Series::Form::lines);
        EXPECT_EQ(series.style.color, COLORS[i]);
        std::vector<std::pair<double, double>> points;
        for (const ChartPoint & point : series.points)
            points.emplace_back(point.x, point.y);
        EXPECT_EQ(points, lines[i].second) << series.title;
    }
}

TEST(SweepChart, SaysNothingOfSaturationWhereTheServerKeptUp) {
    Json kept_up = sweep();
    kept_up["saturated_at_rate"] = nullptr;
    EXPECT_EQ(sweep_chart(kept_up).x.title, "conversations that begin per second");
}

TEST(SweepChart, IsEmptyIfNoOpenLoopWasAnswered) {
    Json none = sweep();
    none["steps"].erase(none["steps"].begin() + 1, none["steps"].end());
    EXPECT_TRUE(sweep_chart(none).series.empty());
}

}  // namespace
}  // namespace shimmy::report

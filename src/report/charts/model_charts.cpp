#include "report/charts/model_charts.h"

#include "base/text/text.h"
#include "report/charts/axis_charts.h"
#include "report/charts/cell_charts.h"
#include "report/charts/http_charts.h"
#include "report/charts/quality_charts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace shimmy::report {

namespace {

// Only those with something to show.
class Charts {
public:
    void add(Chart chart) {
        if (!chart.series.empty()) list.push_back(std::move(chart));
    }
    void add(std::vector<Chart> charts) {
        for (Chart & chart : charts)
            add(std::move(chart));
    }

    std::vector<Chart> list;
};

// "axes-decode, tokens/s" -> "axes-decode-tokens-s"
std::string file_name_of(const std::string & text) {
    std::string name;
    for (const char c : lower(text)) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
        if (plain) name += c;
        if (!plain && !name.empty() && name.back() != '-') name += '-';
    }
    return name;
}

std::vector<Chart> front_charts(const lab::Summary & summary, const std::string & model, const Quality & quality) {
    std::vector<Chart> charts;
    for (const Cost cost : {Cost::file_size, Cost::vram, Cost::speed})
        charts.push_back(front_chart(summary, model, quality, cost));
    return charts;
}

}  // namespace

std::vector<Chart> card_charts(const lab::Summary & summary, const std::string & model, const Quality & quality) {
    Charts charts;
    charts.add(vram_chart(summary, model));
    charts.add(speed_chart(summary, model));
    if (!charts.list.empty()) charts.add(front_charts(summary, model, quality));
    return charts.list;
}

std::vector<FileChart> file_charts(const lab::Summary & summary, const std::string & model, const Quality & quality) {
    std::vector<FileChart> files;
    for (Chart & chart : card_charts(summary, model, quality)) {
        const std::string name = chart.name, title = chart.title;
        files.push_back({std::move(chart), name, title, "cells", "base"});
    }
    const auto add = [&](std::vector<Chart> charts, const char * place, const char * source) {
        for (Chart & chart : charts) {
            if (chart.series.empty()) continue;
            const std::string choices = fmt::format("{}", fmt::join(chart.choices, ", "));
            std::string file = file_name_of(choices.empty() ? place : fmt::format("{}-{}", place, choices));
            const bool is_taken =
                std::any_of(files.begin(), files.end(), [&](const FileChart & other) { return other.file == file; });
            if (is_taken) file += fmt::format("-{}", files.size());
            std::string title = chart.title + (choices.empty() ? "" : ": " + choices);
            files.push_back({std::move(chart), std::move(file), std::move(title), place, source});
        }
    };
    add(axis_charts(summary, model), "axes", "cells");
    add(latency_charts(summary, model), "latency", "base");
    add({streaming_chart(summary, model)}, "streaming", "streaming");
    add({load_chart(summary, model)}, "load", "load");
    Chart bits = quality_chart(model, quality);
    bits.title = "Divergence against bits per weight";
    add({std::move(bits)}, "bits", "quality");
    add(expert_charts(summary, model), "experts", "base");
    return files;
}

std::vector<Chart> page_charts(const lab::Summary & summary, const std::string & model, const Quality & quality) {
    Charts charts;
    charts.add(axis_charts(summary, model));
    charts.add(vram_chart(summary, model));
    charts.add(speed_chart(summary, model));
    charts.add(latency_charts(summary, model));
    charts.add(streaming_chart(summary, model));
    charts.add(load_chart(summary, model));
    charts.add(quality_chart(model, quality));
    std::vector<Chart> fronts = front_charts(summary, model, quality);
    for (Chart & front : fronts)
        front.name = "front";
    charts.add(std::move(fronts));
    charts.add(expert_charts(summary, model));
    return charts.list;
}

}  // namespace shimmy::report

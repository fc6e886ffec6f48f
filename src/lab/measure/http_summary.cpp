#include "lab/measure/http_summary.h"

#include <fmt/format.h>

#include <algorithm>

namespace shimmy::lab {

namespace {

const Json * valid_result(const CampaignPlan & plan, size_t run) {
    return plan.results[run].state == ResultState::valid ? &plan.results[run].document : nullptr;
}

// The run without streaming that `stream` is to be compared with; nullptr if it has no result.
const Json * counterpart(const CampaignPlan & plan, const Run & stream) {
    for (size_t i = 0; i < plan.runs.size(); ++i) {
        const Run & run = plan.runs[i];
        if (run.mode == Mode::no_stream && run.variant == stream.variant && run.placement == stream.placement &&
            run.prompt == stream.prompt && run.repeat == stream.repeat && run.point == stream.point)
            return valid_result(plan, i);
    }
    return nullptr;
}

// By how many percent the figure is above the other's; false where one has none.
bool add_percent(std::vector<double> & samples, const Json & stream, const Json & other, const char * figure) {
    const Json & a = stream.at(figure);
    const Json & b = other.at(figure);
    if (!a.is_number() || !b.is_number() || b.get<double>() <= 0.0) return false;
    samples.push_back(100.0 * (a.get<double>() / b.get<double>() - 1.0));
    return true;
}

StreamingComparison compare(const CampaignPlan & plan, size_t variant, engine::Placement placement,
                            const Point & point) {
    StreamingComparison comparison{key_of(plan, variant, placement, point)};
    std::vector<double> total_percent;
    std::vector<double> decode_percent;
    for (size_t i = 0; i < plan.runs.size(); ++i) {
        const Run & run = plan.runs[i];
        const Json * stream = valid_result(plan, i);
        if (run.mode != Mode::stream || run.variant != variant || run.placement != placement || run.point != point ||
            stream == nullptr)
            continue;
        ++comparison.n_stream_runs;
        const Json defects = stream->value("sse", Json::object()).value("defects", Json::array());
        comparison.n_sse_defects += defects.size();
        if (comparison.first_sse_defect.empty() && !defects.empty()) comparison.first_sse_defect = defects[0];
        const Json * other = counterpart(plan, run);
        if (other == nullptr || !add_percent(total_percent, *stream, *other, "total_ms")) continue;
        add_percent(decode_percent, *stream, *other, "decode_tps");
        if (stream->at("text") == other->at("text")) ++comparison.n_same_text;
    }
    if (!total_percent.empty()) comparison.total_percent = summarize(total_percent);
    if (!decode_percent.empty()) comparison.decode_percent = summarize(decode_percent);
    return comparison;
}

double median_of(const std::vector<const Json *> & loads, const char * figure, const char * percentile) {
    std::vector<double> values;
    for (const Json * load : loads)
        values.push_back(load->at(figure).at(percentile));
    return summarize(values).median;
}

Percentiles percentiles(const std::vector<const Json *> & loads, const char * figure) {
    return {median_of(loads, figure, "p50"), median_of(loads, figure, "p90"), median_of(loads, figure, "p99")};
}

LoadFigures figures_of(const CampaignPlan & plan, size_t variant, engine::Placement placement, const Point & point,
                       int n_clients) {
    LoadFigures figures{key_of(plan, variant, placement, point)};
    figures.n_clients = n_clients;
    std::vector<const Json *> loads;
    std::vector<double> total_tps;
    for (size_t i = 0; i < plan.runs.size(); ++i) {
        const Run & run = plan.runs[i];
        const Json * document = valid_result(plan, i);
        if (run.mode != Mode::load || run.variant != variant || run.placement != placement ||
            run.n_clients != n_clients || run.point != point || document == nullptr)
            continue;
        const Json & load = document->at("load");
        loads.push_back(&load);
        total_tps.push_back(load.at("total_tps"));
        figures.vram_bytes = std::max(figures.vram_bytes, document->at("memory").at("vram_bytes").get<uint64_t>());
        figures.n_requests += load.at("n_requests").get<uint64_t>();
        figures.n_failed_requests += load.at("n_failed_requests").get<uint64_t>();
        figures.n_sse_defects += load.at("n_sse_defects").get<uint64_t>();
    }
    figures.n_runs = loads.size();
    if (loads.empty()) return figures;
    figures.total_tps = summarize(total_tps);
    figures.ttft_ms = percentiles(loads, "ttft_ms");
    figures.gap_ms = percentiles(loads, "gap_ms");
    return figures;
}

}  // namespace

std::vector<StreamingComparison> compare_streaming(const CampaignPlan & plan) {
    std::vector<StreamingComparison> result;
    for (size_t variant = 0; variant < plan.variants.size(); ++variant) {
        for (const engine::Placement placement : plan.campaign.placements) {
            for (const Point & point : points_of(plan.campaign, Mode::stream, placement)) {
                StreamingComparison comparison = compare(plan, variant, placement, point);
                if (comparison.total_percent.n > 0) result.push_back(std::move(comparison));
            }
        }
    }
    return result;
}

std::vector<LoadFigures> load_figures(const CampaignPlan & plan) {
    std::vector<LoadFigures> result;
    for (size_t variant = 0; variant < plan.variants.size(); ++variant) {
        for (const engine::Placement placement : plan.campaign.placements) {
            for (const Point & point : points_of(plan.campaign, Mode::load, placement)) {
                for (const int n_clients : plan.campaign.load.clients) {
                    LoadFigures figures = figures_of(plan, variant, placement, point, n_clients);
                    if (figures.n_runs > 0) result.push_back(std::move(figures));
                }
            }
        }
    }
    return result;
}

}  // namespace shimmy::lab

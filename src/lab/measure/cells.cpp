#include "lab/measure/cells.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

namespace shimmy::lab {

namespace {

struct SampleFigure {
    const char * name;
    double Sample::*value;
    Statistics Figures::*statistics;
};
constexpr std::array<SampleFigure, 5> SAMPLE_FIGURES{{
    {"load_ms", &Sample::load_ms, &Figures::load_ms},
    {"ttft_ms", &Sample::ttft_ms, &Figures::ttft_ms},
    {"prefill_tps", &Sample::prefill_tps, &Figures::prefill_tps},
    {"decode_tps", &Sample::decode_tps, &Figures::decode_tps},
    {"total_ms", &Sample::total_ms, &Figures::total_ms},
}};

Sample sample_of(const CampaignPlan & plan, size_t run) {
    const Json & document = plan.results[run].document;
    Sample sample;
    sample.file = fs::relative(plan.result_path_of(run), plan.campaign.out_dir).string();
    sample.prompt_id = plan.campaign.prompts.at(plan.runs[run].prompt).id;
    sample.repeat = plan.runs[run].repeat;
    for (const SampleFigure & figure : SAMPLE_FIGURES)
        sample.*figure.value = document.at(figure.name);
    const Json times = document.value("token_ms", Json());
    if (times.is_array()) sample.token_ms = times.get<std::vector<double>>();
    return sample;
}

// The device's figure of a run: of all its GPUs together, if each reports one.
std::optional<uint64_t> device_used(const Json & memory) {
    uint64_t sum = 0;
    const Json devices = memory.value("devices", Json::array());
    for (const Json & device : devices) {
        const Json used = device.value("device_used_bytes", Json());
        if (!used.is_number_unsigned()) return std::nullopt;
        sum += used.get<uint64_t>();
    }
    return devices.empty() ? std::nullopt : std::optional(sum);
}

void take_memory(Figures & figures, const Json & document) {
    const Json & memory = document.at("memory");
    const Json & vram = memory.at("vram");
    const uint64_t bytes = memory.at("vram_bytes");
    figures.peak_rss_bytes = std::max(figures.peak_rss_bytes, document.at("peak_rss_bytes").get<uint64_t>());
    if (bytes < figures.vram_bytes || (bytes == figures.vram_bytes && figures.device_used_bytes)) return;
    figures.vram_bytes = bytes;
    figures.model_bytes = vram.value("model_bytes", uint64_t{0});
    figures.context_bytes = vram.value("context_bytes", uint64_t{0});
    figures.compute_bytes = vram.value("compute_bytes", uint64_t{0});
    figures.expert_cache_bytes = vram.value("expert_cache_bytes", uint64_t{0});
    figures.device_used_bytes = device_used(memory);
}

// Marks the samples that are far from what their prompt usually takes.
void mark_outliers(std::vector<Sample> & samples, const SampleFigure & figure, Statistics & statistics) {
    std::map<std::string, std::vector<double>> by_prompt;
    for (const Sample & sample : samples)
        by_prompt[sample.prompt_id].push_back(sample.*figure.value);
    for (auto & [prompt, values] : by_prompt)
        std::sort(values.begin(), values.end());
    std::vector<double> ratios;
    for (const Sample & sample : samples) {
        const double median = quantile(by_prompt[sample.prompt_id], 0.5);
        ratios.push_back(median > 0.0 ? sample.*figure.value / median : 1.0);
    }
    const std::vector<bool> outliers = tukey_outliers(ratios);
    for (size_t i = 0; i < samples.size(); ++i) {
        if (outliers[i]) samples[i].outlier_in.emplace_back(figure.name);
    }
    statistics.n_outliers = static_cast<size_t>(std::count(outliers.begin(), outliers.end(), true));
}

void summarize_samples(Cell & cell, Figures & figures) {
    for (const SampleFigure & figure : SAMPLE_FIGURES) {
        std::vector<double> values;
        for (const Sample & sample : cell.samples)
            values.push_back(sample.*figure.value);
        figures.*figure.statistics = summarize(values);
        mark_outliers(cell.samples, figure, figures.*figure.statistics);
    }
}

std::optional<ColdFigures> cold_figures(const std::vector<const Json *> & documents) {
    std::array<std::vector<double>, 3> values;
    constexpr std::array NAMES{"ttft_ms", "prefill_tps", "decode_tps"};
    for (const Json * document : documents) {
        const Json cold = document->value("cold", Json::object());
        for (size_t i = 0; i < NAMES.size(); ++i) {
            const Json value = cold.value(NAMES[i], Json());
            if (!value.is_number()) return std::nullopt;
            values[i].push_back(value);
        }
    }
    return ColdFigures{summarize(values[0]), summarize(values[1]), summarize(values[2])};
}

std::vector<AnswerText> answer_texts(const Campaign & campaign, const std::vector<const Json *> & documents,
                                     const std::vector<Sample> & samples) {
    std::vector<AnswerText> result;
    for (const Prompt & prompt : campaign.prompts) {
        AnswerText answer{prompt.id, "", 0};
        std::set<std::string> distinct;
        for (size_t i = 0; i < samples.size(); ++i) {
            if (samples[i].prompt_id != prompt.id) continue;
            const std::string text = documents[i]->at("text");
            if (distinct.empty()) answer.text = text;
            distinct.insert(text);
        }
        answer.n_distinct = distinct.size();
        if (answer.n_distinct > 0) result.push_back(std::move(answer));
    }
    return result;
}

std::optional<std::vector<engine::ExpertUse>> summed_expert_use(const std::vector<const Json *> & documents) {
    std::map<std::pair<int, int>, std::pair<uint64_t, uint64_t>> sums;
    for (const Json * document : documents) {
        const Json use = document->value("expert_use", Json());
        if (!use.is_array()) return std::nullopt;
        for (const Json & entry : use) {
            auto & [hits, bytes] = sums[{entry.at("layer"), entry.at("expert")}];
            hits += entry.at("hits").get<uint64_t>();
            bytes += entry.at("bytes").get<uint64_t>();
        }
    }
    std::vector<engine::ExpertUse> result;
    for (const auto & [key, sum] : sums)
        result.push_back({key.first, key.second, sum.first, sum.second});
    return result;
}

void fill(Cell & cell, const CampaignPlan & plan, const std::vector<size_t> & runs) {
    std::vector<const Json *> documents;
    Figures figures;
    for (const size_t run : runs) {
        const StoredResult & result = plan.results[run];
        if (result.state != ResultState::valid || !missing_figure(result.document).empty()) continue;
        documents.push_back(&result.document);
        cell.samples.push_back(sample_of(plan, run));
        take_memory(figures, result.document);
        if (result.document.at("cold").value("same_text", false)) ++cell.n_same_text_cold_warm;
    }
    if (cell.samples.empty()) return;
    summarize_samples(cell, figures);
    cell.figures = figures;
    cell.cold = cold_figures(documents);
    cell.texts = answer_texts(plan.campaign, documents, cell.samples);
    cell.expert_buffers = expert_buffers(*documents.front());
    cell.expert_use = summed_expert_use(documents);
}

}  // namespace

std::vector<ExpertBuffer> expert_buffers(const Json & document) {
    std::vector<ExpertBuffer> buffers;
    const Json tensors = document.value("expert_tensors", Json());
    if (!tensors.is_array()) return buffers;
    for (const Json & tensor : tensors) {
        const std::string type = tensor.at("buffer_type");
        auto found = std::find_if(buffers.begin(), buffers.end(),
                                  [&](const ExpertBuffer & buffer) { return buffer.buffer_type == type; });
        if (found == buffers.end()) found = buffers.insert(found, {type, tensor.at("host"), 0, 0});
        ++found->n_tensors;
        found->bytes += tensor.at("bytes").get<uint64_t>();
    }
    return buffers;
}

std::string CellKey::name() const {
    return fmt::format("{} {}", quantization, engine::to_string(placement));
}

CellKey key_of(const CampaignPlan & plan, size_t variant, engine::Placement placement, const Point & point) {
    const Variant & file = plan.variants.at(variant);
    return {file.model, file.quantization, placement, point};
}

std::vector<Point> points_of(const Campaign & campaign, Mode mode, engine::Placement placement) {
    std::vector<Point> points;
    for (const Point & point : design_points(campaign.axes)) {
        Point applying = that_applies(point, run_kind(mode, placement));
        if (std::find(points.begin(), points.end(), applying) == points.end()) points.push_back(std::move(applying));
    }
    return points;
}

std::string missing_figure(const Json & document) {
    if (document.contains("load") || document.contains("task")) return "";
    if (document["decode_tps"].is_number() && document["decode_tps"].get<double>() > 0.0) return "";
    return fmt::format("has no decode rate, as the answer has {} token(s): use another prompt",
                       json_text(document["n_output_tokens"], -1));
}

namespace {

Cell make_cell(const CampaignPlan & plan, const CellKey & key, size_t variant, Mode mode) {
    std::vector<size_t> runs;
    for (size_t i = 0; i < plan.runs.size(); ++i) {
        const Run & run = plan.runs[i];
        if (run.variant == variant && run.placement == key.placement && run.mode == mode && run.point == key.point)
            runs.push_back(i);
    }
    Cell cell{key};
    cell.mode = mode;
    cell.at_base = key.point == base_point(plan.campaign, mode, key.placement);
    cell.n_runs = runs.size();
    fill(cell, plan, runs);
    return cell;
}

}  // namespace

std::vector<Cell> make_cells(const CampaignPlan & plan) {
    std::vector<Cell> cells;
    for (size_t variant = 0; variant < plan.variants.size(); ++variant) {
        for (const engine::Placement placement : plan.campaign.placements) {
            for (const Mode mode : plan.campaign.modes) {
                for (const Point & point : points_of(plan.campaign, mode, placement))
                    cells.push_back(make_cell(plan, key_of(plan, variant, placement, point), variant, mode));
            }
        }
    }
    return cells;
}

}  // namespace shimmy::lab

#include "lab/measure/summary_json.h"

#include "engine/load/placement.h"
#include "engine/run/describe.h"
#include "lab/campaign/tasks.h"

namespace shimmy::lab {

namespace {

Json text_or_null(const std::string & text) {
    return text.empty() ? Json(nullptr) : Json(text);
}

template <typename T>
Json or_null(const std::optional<T> & value) {
    return value ? Json(*value) : Json(nullptr);
}

Json to_json(const Statistics & s) {
    const std::optional<double> half = s.ci95_half_width();
    return {{"n", s.n},
            {"median", s.median},
            {"min", s.min},
            {"q1", s.q1},
            {"q3", s.q3},
            {"max", s.max},
            {"mean", s.mean},
            {"stddev", s.stddev},
            {"ci95_low", half ? Json(s.mean - *half) : Json(nullptr)},
            {"ci95_high", half ? Json(s.mean + *half) : Json(nullptr)},
            {"n_outliers", s.n_outliers}};
}

Json to_json(const Figures & figures) {
    return {{"vram_bytes", figures.vram_bytes},
            {"vram",
             {{"model_bytes", figures.model_bytes},
              {"context_bytes", figures.context_bytes},
              {"compute_bytes", figures.compute_bytes},
              {"expert_cache_bytes", figures.expert_cache_bytes}}},
            {"device_used_bytes", or_null(figures.device_used_bytes)},
            {"peak_rss_bytes", figures.peak_rss_bytes},
            {"load_ms", to_json(figures.load_ms)},
            {"ttft_ms", to_json(figures.ttft_ms)},
            {"prefill_tps", to_json(figures.prefill_tps)},
            {"decode_tps", to_json(figures.decode_tps)},
            {"total_ms", to_json(figures.total_ms)}};
}

Json key_json(const CellKey & key) {
    Json json{
        {"model", key.model}, {"quantization", key.quantization}, {"placement", engine::to_string(key.placement)}};
    if (!key.point.empty()) json["axes"] = axes_json(key.point);
    return json;
}

Json to_json(const Row & row) {
    Json json = key_json(row);
    json.update({{"mode", to_string(row.mode)},
                 {"model_sha256", row.model_sha256},
                 {"file_size_bytes", row.file_size_bytes},
                 {"baseline", to_json(row.baseline)},
                 {"offload", to_json(row.offload)},
                 {"saved_bytes", row.saved_bytes()},
                 {"saved_percent", row.saved_percent()},
                 {"slowdown", row.slowdown()}});
    if (!row.point.empty()) json["at_base"] = row.at_base;
    return json;
}

Json to_json(const Sample & sample) {
    return {{"file", sample.file},
            {"prompt_id", sample.prompt_id},
            {"repeat", sample.repeat},
            {"ttft_ms", sample.ttft_ms},
            {"prefill_tps", sample.prefill_tps},
            {"decode_tps", sample.decode_tps},
            {"total_ms", sample.total_ms},
            {"load_ms", sample.load_ms},
            {"token_ms", sample.token_ms},
            {"outlier_in", sample.outlier_in}};
}

Json to_json(const Cell & cell) {
    Json json = key_json(cell);
    json["mode"] = to_string(cell.mode);
    if (!cell.point.empty()) json["at_base"] = cell.at_base;
    json["n_runs"] = cell.n_runs;
    json["n_valid"] = cell.samples.size();
    if (!cell.figures) return json;
    json.update(to_json(*cell.figures));
    json["cold"] = nullptr;
    if (cell.cold) {
        json["cold"] = {{"ttft_ms", to_json(cell.cold->ttft_ms)},
                        {"prefill_tps", to_json(cell.cold->prefill_tps)},
                        {"decode_tps", to_json(cell.cold->decode_tps)}};
    }
    json["n_same_text_cold_warm"] = cell.n_same_text_cold_warm;
    json["texts"] = Json::array();
    for (const AnswerText & text : cell.texts)
        json["texts"].push_back({{"prompt_id", text.prompt_id}, {"text", text.text}, {"n_distinct", text.n_distinct}});
    json["expert_use"] = engine::expert_use_json(cell.expert_use);
    json["expert_buffers"] = Json::array();
    for (const ExpertBuffer & buffer : cell.expert_buffers)
        json["expert_buffers"].push_back({{"buffer_type", buffer.buffer_type},
                                          {"host", buffer.host},
                                          {"n_tensors", buffer.n_tensors},
                                          {"bytes", buffer.bytes}});
    json["samples"] = Json::array();
    for (const Sample & sample : cell.samples)
        json["samples"].push_back(to_json(sample));
    return json;
}

Json percent_json(const Statistics & s) {
    if (s.n == 0) return nullptr;
    const Json all = to_json(s);
    return {{"mean", all["mean"]}, {"ci95_low", all["ci95_low"]}, {"ci95_high", all["ci95_high"]}};
}

Json to_json(const StreamingComparison & comparison) {
    Json json = key_json(comparison);
    json["n_pairs"] = comparison.total_percent.n;
    json["n_same_text"] = comparison.n_same_text;
    json["total_percent"] = percent_json(comparison.total_percent);
    json["decode_percent"] = percent_json(comparison.decode_percent);
    json["sse"] = {{"n_runs", comparison.n_stream_runs},
                   {"n_defects", comparison.n_sse_defects},
                   {"first_defect", text_or_null(comparison.first_sse_defect)}};
    return json;
}

Json to_json(const Percentiles & percentiles) {
    return {{"p50", percentiles.p50}, {"p90", percentiles.p90}, {"p99", percentiles.p99}};
}

Json to_json(const LoadFigures & load) {
    Json json = key_json(load);
    json.update({{"n_clients", load.n_clients},
                 {"n_runs", load.n_runs},
                 {"vram_bytes", load.vram_bytes},
                 {"total_tps", to_json(load.total_tps)},
                 {"ttft_ms", to_json(load.ttft_ms)},
                 {"gap_ms", to_json(load.gap_ms)},
                 {"n_requests", load.n_requests},
                 {"n_failed_requests", load.n_failed_requests},
                 {"n_sse_defects", load.n_sse_defects}});
    return json;
}

Json change_json(const Change & change) {
    if (change.n == 0) return nullptr;
    return {{"mean", change.mean},
            {"ci95_low", or_null(change.low)},
            {"ci95_high", or_null(change.high)},
            {"n_pairs", change.n},
            {"clear", change.is_clear()}};
}

Json to_json(const AxisEffect & effect) {
    Json json = key_json(effect);
    json.update({{"mode", to_string(effect.mode)},
                 {"n_clients", effect.n_clients > 0 ? Json(effect.n_clients) : Json(nullptr)},
                 {"from", axes_json(effect.from)},
                 {"to", axes_json(effect.to)},
                 {"decode_percent", change_json(effect.decode)},
                 {"prefill_percent", change_json(effect.prefill)},
                 {"ttft_percent", change_json(effect.ttft)},
                 {"vram_percent", or_null(effect.vram_percent)}});
    return json;
}

Json to_json(const Interaction & found) {
    Json json = key_json(found);
    json.update({{"mode", to_string(found.mode)},
                 {"from", axes_json({found.from})},
                 {"to", axes_json({found.to})},
                 {"at_base", axes_json({found.at_base})},
                 {"at", axes_json({found.at})},
                 {"decode_percent_at_base", change_json(found.effect_at_base)},
                 {"decode_percent_at", change_json(found.effect_at)},
                 {"percent", change_json(found.percent)}});
    return json;
}

Json interval_json(const eval::Interval & interval) {
    return {interval.low, interval.high};
}

Json to_json(const TaskMetric & metric) {
    Json json{{"metric", metric.name},
              {"n_right", metric.n_right},
              {"share", metric.share},
              {"ci95", interval_json(metric.ci95)},
              {"against_reference", nullptr}};
    if (const auto & compared = metric.against_reference) {
        json["against_reference"] = {{"n_both_right", compared->paired.n_both},
                                     {"n_only_reference_right", compared->paired.n_only_first},
                                     {"n_only_this_right", compared->paired.n_only_second},
                                     {"difference", compared->paired.difference()},
                                     {"difference_ci95", interval_json(compared->ci95)},
                                     {"mcnemar_p", compared->p}};
    }
    return json;
}

Json to_json(const TaskFigures & task) {
    Json metrics = Json::array();
    for (const TaskMetric & metric : task.metrics)
        metrics.push_back(to_json(metric));
    return {{"model", task.model},
            {"quantization", task.quantization},
            {"task", task.task},
            {"form", task.form},
            {"use", text_or_null(task.use)},
            {"n_questions", task.n_questions},
            {"random_chance", or_null(task.random_chance)},
            {"reference", text_or_null(task.reference)},
            {"device", task.device},
            {"metrics", metrics},
            {"file", task.file}};
}

Json task_settings_json(const CampaignTask & task) {
    Json json = task_settings(task);
    json["file"] = task.file.filename().string();
    json["use"] = text_or_null(task.use);
    return json;
}

Json axes_settings_json(const Axes & axes) {
    Json list = Json::array();
    for (const Axis & axis : axes.list)
        list.push_back({{"name", axis.key}, {"values", axis.values}, {"varied", axis.values.size() > 1}});
    return {{"design", to_string(axes.design)}, {"list", list}};
}

Json settings_json(const Campaign & campaign) {
    Json prompts = Json::array();
    for (const Prompt & prompt : campaign.prompts)
        prompts.push_back({{"id", prompt.id},
                           {"text", prompt.text},
                           {"use", text_or_null(prompt.use)},
                           {"why", text_or_null(prompt.why)},
                           {"expect", text_or_null(prompt.expect)}});
    Json placements = Json::array();
    for (const engine::Placement placement : campaign.placements)
        placements.push_back(engine::to_string(placement));
    Json modes = Json::array();
    for (const Mode mode : campaign.modes)
        modes.push_back(to_string(mode));
    Json load = nullptr;
    if (!campaign.load.clients.empty()) {
        load = {{"clients", campaign.load.clients},
                {"duration_s", campaign.load.duration_s},
                {"repeats", campaign.load.repeats}};
    }
    Json quality = nullptr;
    if (!campaign.quality.text.empty())
        quality = {{"text", campaign.quality.text.string()},
                   {"chunks", campaign.quality.chunks},
                   {"check_offload", campaign.quality.check_offload}};
    Json settings{{"repeats", campaign.repeats}, {"temperature", campaign.temperature},
                  {"seed", campaign.seed},       {"max_tokens", campaign.max_tokens},
                  {"n_ctx", campaign.n_ctx},     {"timeout_s", campaign.timeout_s},
                  {"placements", placements},    {"modes", modes},
                  {"prompts", prompts},          {"load", load},
                  {"quality", quality}};
    if (!campaign.tasks.empty()) {
        settings["tasks"] = Json::array();
        for (const CampaignTask & task : campaign.tasks)
            settings["tasks"].push_back(task_settings_json(task));
    }
    if (!campaign.axes.empty()) settings["axes"] = axes_settings_json(campaign.axes);
    return settings;
}

Json models_json(const Summary & summary) {
    Json models = Json::array();
    for (size_t i = 0; i < summary.campaign.models.size(); ++i) {
        const CampaignModel & model = summary.campaign.models[i];
        const InputInfo & info = summary.inputs.at(i);
        models.push_back({{"name", model.name},
                          {"path", text_or_null(model.path.string())},
                          {"shape", text_or_null(model.shape)},
                          {"base_model", text_or_null(model.base_model)},
                          {"about", text_or_null(model.about)},
                          {"license", text_or_null(model.license)},
                          {"license_name", text_or_null(model.license_name)},
                          {"license_link", text_or_null(model.license_link)},
                          {"languages", languages_of(summary, model.name)},
                          {"imatrix", text_or_null(model.imatrix.filename().string())},
                          {"imatrix_text", text_or_null(model.imatrix_text.filename().string())},
                          {"expected_architecture", text_or_null(model.expected_architecture)},
                          {"arch", text_or_null(info.arch)},
                          {"n_layer", info.n_layer},
                          {"n_expert", info.n_expert},
                          {"n_ctx_train", info.n_ctx_train},
                          {"prompt_format", text_or_null(info.prompt_format)},
                          {"sampling", text_or_null(info.sampling)}});
    }
    return models;
}

Json variants_json(const Summary & summary) {
    Json variants = Json::array();
    for (const MeasuredFile & file : summary.variants) {
        variants.push_back({{"model", file.model},
                            {"quantization", file.quantization},
                            {"file", file.file},
                            {"model_sha256", text_or_null(file.sha256)},
                            {"file_size_bytes", file.file_size_bytes > 0 ? Json(file.file_size_bytes) : Json(nullptr)},
                            {"error", text_or_null(file.error)}});
        if (!file.mix.empty()) variants.back()["mix"] = file.mix;
    }
    return variants;
}

Json to_json(const MissingRun & run) {
    return {{"run", run.what},  {"model", run.model},   {"quantization", run.quantization},
            {"file", run.file}, {"failed", run.failed}, {"reason", run.reason}};
}

Json to_json(const DeviceFacts & device) {
    return {{"name", device.name},
            {"description", device.description},
            {"backend", device.backend},
            {"kind", device.kind},
            {"software", device.software}};
}

Json to_json(const Host & host) {
    return {{"name", host.name},
            {"cpu", host.cpu},
            {"os", host.os},
            {"n_cores", host.n_cores},
            {"ram_bytes", host.ram_bytes}};
}

template <typename T>
Json list_json(const std::vector<T> & items) {
    Json list = Json::array();
    for (const T & item : items)
        list.push_back(to_json(item));
    return list;
}

}  // namespace

Json to_json(const Summary & summary) {
    const Conditions & conditions = summary.conditions;
    const Campaign & campaign = summary.campaign;
    Json document{{"campaign", campaign.name},
                  {"out_dir", campaign.out_dir.string()},
                  {"creator", text_or_null(campaign.creator)},
                  {"repo_owner", text_or_null(campaign.repo_owner)},
                  {"layout", to_string(campaign.layout)}};
    if (summary.has_figures()) {
        document["shimmy_version"] = conditions.shimmy_version;
        document["llama_cpp_version"] = conditions.llama_cpp_version;
        document["device"] = to_json(conditions.device);
        document["host"] = to_json(conditions.host);
        document["n_threads"] = conditions.n_threads > 0 ? Json(conditions.n_threads) : Json(nullptr);
        document["first_run_at"] = conditions.first_run_at;
        document["last_run_at"] = conditions.last_run_at;
    }
    document["settings"] = settings_json(campaign);
    document["statistics"] = {{"interval", INTERVAL_RULE}, {"outlier_rule", OUTLIER_RULE}};
    document["models"] = models_json(summary);
    document["variants"] = variants_json(summary);
    document["n_valid_runs"] = summary.n_valid_runs;
    document["rows"] = list_json(summary.rows);
    document["cells"] = list_json(summary.cells);
    document["streaming"] = list_json(summary.streaming);
    document["load"] = list_json(summary.load);
    if (!campaign.tasks.empty()) document["tasks"] = list_json(summary.tasks);
    if (!campaign.axes.varied().empty()) {
        document["effects"] = list_json(summary.effects);
        document["interactions"] = list_json(summary.interactions);
    }
    document["missing"] = list_json(summary.missing);
    return document;
}

}  // namespace shimmy::lab

#include "cli/print/run_document.h"

#include "base/host/host.h"
#include "base/version.h"
#include "engine/experts/expert_cache.h"
#include "engine/experts/expert_disk.h"
#include "engine/experts/expert_memory.h"
#include "engine/llama/version.h"
#include "engine/run/describe.h"

namespace shimmy::cli {

namespace {

Json rate(const std::optional<double> & tps) {
    return tps ? Json(*tps) : Json(nullptr);
}

// Null for a placement that was asked for, and where there is no GPU to choose about.
Json reason(const engine::PlacementChoice & choice) {
    return choice.reason.empty() ? Json(nullptr) : Json(choice.reason);
}

Json speculation_document(const std::optional<engine::SpeculationReport> & report) {
    if (!report) return nullptr;
    return {{"kind", report->kind},
            {"is_on", report->is_on},
            {"n_drafted", report->n_drafted},
            {"n_accepted", report->n_accepted},
            {"is_measured", report->is_measured},
            {"is_decided", report->is_decided},
            {"gain", rate(report->gain)},
            {"n_measured", report->n_measured}};
}

Json cold_document(const engine::GenerateResult & cold, const engine::GenerateResult & warm) {
    return {{"ttft_ms", cold.ttft_ms},
            {"prefill_tps", cold.prefill_tps()},
            {"decode_tps", rate(cold.decode_tps())},
            {"total_ms", cold.total_ms},
            {"n_output_tokens", cold.n_output_tokens},
            {"same_text", warm.text.starts_with(cold.text)}};
}

}  // namespace

Json run_document(const RunSettings & settings, const gguf::ModelInfo & info, const engine::Model & model,
                  const engine::GenerateResult & result) {
    Json document{
        {"shimmy_version", shimmy_version()},
        {"llama_cpp_version", engine::llama_cpp_version()},
        {"model",
         {{"path", settings.path},
          {"name", info.name},
          {"arch", info.arch},
          {"quantization", info.quantization},
          {"size_bytes", info.size_bytes}}},
        {"placement", engine::to_string(model.placement().placement)},
        {"placement_reason", reason(model.placement())},
        {"llama_args", settings.llama_args},
        {"device", engine::device_json(model.device())},
        {"host", engine::host_json()},
        {"moe_backend", settings.moe_backend},
        {"n_threads", model.n_threads()},
        {"n_ctx", model.n_ctx()},
        {"seed", settings.sampling.seed},
        {"temperature", settings.sampling.temperature},
        {"top_p", settings.sampling.top_p},
        {"top_k", settings.sampling.top_k},
        {"min_p", settings.sampling.min_p},
        {"repeat_penalty", settings.sampling.repeat_penalty},
        {"max_tokens", settings.max_tokens},
        {"prompt", settings.prompt},
        {"text", result.text},
        {"stop_reason", engine::to_string(result.stop_reason)},
        {"n_prompt_tokens", result.n_prompt_tokens},
        {"n_output_tokens", result.n_output_tokens},
        {"load_ms", model.load_ms()},
        {"ttft_ms", result.ttft_ms},
        {"prefill_ms", result.prefill_ms},
        {"decode_ms", result.decode_ms},
        {"total_ms", result.total_ms},
        {"prefill_tps", result.prefill_tps()},
        {"decode_tps", rate(result.decode_tps())},
        {"token_ms", result.token_ms},
        {"speculation", speculation_document(result.speculation)},
        {"memory", engine::memory_json(model.memory(), model.expert_ram_bytes(), settings.devices_before)},
        {"expert_tensors", engine::expert_tensors_json(model.tensors())},
        {"peak_rss_bytes", peak_rss_bytes()},
        {"expert_cache", engine::to_json(engine::expert_cache())},
        {"expert_disk", engine::to_json(engine::expert_disk())},
        {"expert_memory", engine::to_json(engine::expert_memory())},
        {"expert_use", engine::expert_use_json(engine::expert_use())},
    };
    if (settings.depth > 0) document["depth"] = settings.depth;
    if (!settings.images.empty()) document["images"] = settings.images;
    if (settings.cold) document["cold"] = cold_document(*settings.cold, result);
    return document;
}

}  // namespace shimmy::cli

#include "cli/run_document.h"

#include "base/host.h"
#include "base/version.h"
#include "engine/version.h"

namespace shimmy::cli {

namespace {

Json bytes_by_kind(const engine::BufferMemory & memory) {
    return {{"model_bytes", memory.model_bytes},
            {"context_bytes", memory.context_bytes},
            {"compute_bytes", memory.compute_bytes}};
}

Json memory_document(const engine::Model & model) {
    const engine::MemoryUse use = model.memory();
    Json buffers = Json::array();
    for (const engine::BufferMemory & buffer : use.buffers) {
        Json entry{{"device", buffer.device}, {"buffer_type", buffer.buffer_type}, {"host", buffer.host}};
        entry.update(bytes_by_kind(buffer));
        buffers.push_back(std::move(entry));
    }
    return {{"vram_bytes", use.vram().total_bytes()},
            {"vram", bytes_by_kind(use.vram())},
            {"host", bytes_by_kind(use.host())},
            {"expert_ram_bytes", model.expert_ram_bytes()},
            {"buffers", std::move(buffers)}};
}

Json device_document(const engine::Device & device) {
    return {{"name", device.name},
            {"description", device.description},
            {"backend", device.backend},
            {"kind", engine::to_string(device.kind)},
            {"software", device.software}};
}

Json host_document() {
    const Host machine = host();
    return {{"name", machine.name},
            {"cpu", machine.cpu},
            {"os", machine.os},
            {"n_cores", machine.n_cores},
            {"ram_bytes", machine.ram_bytes}};
}

}  // namespace

Json run_document(const RunSettings & settings, const gguf::ModelInfo & info, const engine::Model & model,
                  const engine::GenerateResult & result) {
    const std::optional<double> decode_tps = result.decode_tps();
    return {
        {"shimmy_version", shimmy_version()},
        {"llama_cpp_version", engine::llama_cpp_version()},
        {"model",
         {{"path", settings.path},
          {"name", info.name},
          {"arch", info.arch},
          {"quantization", info.quantization},
          {"size_bytes", info.size_bytes}}},
        {"placement", engine::to_string(settings.placement)},
        {"device", device_document(model.device())},
        {"host", host_document()},
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
        {"decode_tps", decode_tps ? Json(*decode_tps) : Json(nullptr)},
        {"token_ms", result.token_ms},
        {"memory", memory_document(model)},
        {"peak_rss_bytes", peak_rss_bytes()},
    };
}

}  // namespace shimmy::cli

#include "lab/campaign/result.h"

#include "base/error.h"
#include "base/units.h"

#include <array>
#include <cmath>

namespace shimmy::lab {

namespace {

// Figures and facts that tables are made from: JSON pointer and kind.
enum class Kind { text, number, object };
struct Field {
    const char * pointer;
    Kind kind;
};
constexpr std::array<Field, 14> REQUIRED{{
    {"/shimmy_version", Kind::text},
    {"/llama_cpp_version", Kind::text},
    {"/model/size_bytes", Kind::number},
    {"/placement", Kind::text},
    {"/device/name", Kind::text},
    {"/device/description", Kind::text},
    {"/device/backend", Kind::text},
    {"/device/kind", Kind::text},
    {"/host/cpu", Kind::text},
    {"/n_threads", Kind::number},
    {"/load_ms", Kind::number},
    {"/peak_rss_bytes", Kind::number},
    {"/memory/vram_bytes", Kind::number},
    {"/memory/vram", Kind::object},
}};
// Of one request.
constexpr std::array<Field, 8> REQUIRED_OF_ANSWER{{
    {"/n_prompt_tokens", Kind::number},
    {"/n_output_tokens", Kind::number},
    {"/text", Kind::text},
    {"/ttft_ms", Kind::number},
    {"/prefill_tps", Kind::number},
    {"/total_ms", Kind::number},
    {"/cold", Kind::object},
    {"/cold/ttft_ms", Kind::number},
}};
constexpr std::array<Field, 9> REQUIRED_OF_LOAD{{
    {"/load/n_clients", Kind::number},
    {"/load/duration_ms", Kind::number},
    {"/load/n_requests", Kind::number},
    {"/load/n_failed_requests", Kind::number},
    {"/load/n_output_tokens", Kind::number},
    {"/load/total_tps", Kind::number},
    {"/load/ttft_ms/p50", Kind::number},
    {"/load/gap_ms/p50", Kind::number},
    {"/load/n_sse_defects", Kind::number},
}};

bool has_kind(const Json & value, Kind kind) {
    switch (kind) {
        case Kind::text:
            return value.is_string();
        case Kind::number:
            return value.is_number() && std::isfinite(value.get<double>());
        case Kind::object:
            return value.is_object();
    }
    return false;
}

bool has_field(const Json & document, const Field & field) {
    const Json::json_pointer pointer(field.pointer);
    return document.contains(pointer) && has_kind(document.at(pointer), field.kind);
}

template <size_t N>
const Field * first_missing(const Json & document, const std::array<Field, N> & fields) {
    for (const Field & field : fields) {
        if (!has_field(document, field)) return &field;
    }
    return nullptr;
}

// A field that a document of this mode must have and lacks; empty if there is none.
std::string missing_field(const Json & document, bool load) {
    const Field * missing = first_missing(document, REQUIRED);
    if (missing == nullptr)
        missing = load ? first_missing(document, REQUIRED_OF_LOAD) : first_missing(document, REQUIRED_OF_ANSWER);
    if (missing != nullptr) return missing->pointer + 1;
    return load || document.contains("decode_tps") ? "" : "decode_tps";  // null if there were not two tokens
}

std::string last_line(const std::string & text) {
    const size_t end = text.find_last_not_of(" \r\n\t");
    if (end == std::string::npos) return "";
    const size_t newline = text.find_last_of('\n', end);
    const size_t begin = newline == std::string::npos ? 0 : newline + 1;
    return text.substr(begin, end - begin + 1);
}

std::string failure_message(const ProcessResult & process, const Json & document, int timeout_s) {
    if (process.timed_out) return fmt::format("did not finish within {} s", timeout_s);
    const Json::json_pointer message("/error/message");
    if (document.is_object() && document.contains(message) && document.at(message).is_string())
        return document.at(message);
    const std::string line = last_line(process.err);
    const std::string how = process.exit_code > 128 ? fmt::format("ended by signal {}", process.exit_code - 128)
                                                    : fmt::format("exit code {}", process.exit_code);
    return line.empty() ? how : fmt::format("{}: {}", how, line);
}

Json failure(const Json & run, const std::string & message, int exit_code) {
    return {{"run", run}, {"error", {{"message", message}, {"exit_code", exit_code}}}};
}

}  // namespace

Json run_settings(const Campaign & campaign, const Variant & variant, const Run & run, const std::string & model_sha256,
                  const std::string & program, const Backends & backends) {
    Json settings{
        {"program", program},
        {"model", variant.model},
        {"model_sha256", model_sha256},
        {"quantization", variant.quantization},
        {"placement", engine::to_string(run.placement)},
        {"mode", to_string(run.mode)},
    };
    if (run.mode == Mode::load) {
        Json prompts = Json::array();
        for (const Prompt & prompt : campaign.prompts)
            prompts.push_back(prompt.text);
        settings.update({{"n_clients", run.n_clients}, {"duration_s", campaign.load.duration_s}, {"prompts", prompts}});
    } else {
        const Prompt & prompt = campaign.prompts.at(run.prompt);
        settings.update({{"prompt_id", prompt.id}, {"prompt", prompt.text}});
    }
    settings.update({
        {"repeat", run.repeat},
        {"max_tokens", campaign.max_tokens},
        {"seed", campaign.seed},
        {"temperature", campaign.temperature},
        {"n_ctx", campaign.n_ctx},
        {"threads", campaign.n_threads},
        {"device", campaign.device},
        {"gpu_backend", backends.gpu},
        {"moe_backend", backends.moe},
    });
    return settings;
}

std::string defect(const Json & document, const Json & settings) {
    if (!document.is_object()) return "is not a JSON document";
    const std::string missing = missing_field(document, settings.at("mode") == to_string(Mode::load));
    if (!missing.empty()) return fmt::format("lacks {}", missing);
    if (document["placement"] != settings["placement"]) {
        return fmt::format("ran as {}, not as {}", document["placement"].get<std::string>(),
                           settings["placement"].get<std::string>());
    }
    const uint64_t expert_ram_bytes = document["memory"].value("expert_ram_bytes", uint64_t{0});
    if (settings["placement"] == "baseline" && expert_ram_bytes > 0) {
        return fmt::format("is no baseline: {} of experts stayed in RAM, because {} cannot hold or compute them",
                           format_bytes(expert_ram_bytes), document["device"]["name"].get<std::string>());
    }
    return "";
}

StoredResult load_result(const fs::path & file, const Json & settings) {
    if (!fs::exists(file)) return {ResultState::absent, "not run yet", {}};
    Json document = Json::parse(read_file(file), nullptr, /*allow_exceptions=*/false);
    const Json::json_pointer stored_settings("/run/settings");
    if (!document.is_object() || !document.contains(stored_settings)) {
        return {ResultState::invalid, fmt::format("{} is not a whole result", file.string()), {}};
    }
    if (document.at(stored_settings) != settings) {
        return {ResultState::stale, fmt::format("{} has other settings or another model file", file.string()), {}};
    }
    const Json::json_pointer error_message("/error/message");
    if (document.contains("error")) {
        const bool told = document.contains(error_message) && document.at(error_message).is_string();
        return {ResultState::failed, told ? document.at(error_message).get<std::string>() : "failed", {}};
    }
    const std::string reason = defect(document, settings);
    if (!reason.empty()) return {ResultState::invalid, fmt::format("{} {}", file.string(), reason), {}};
    return {ResultState::valid, "", std::move(document)};
}

Json make_result(const Json & run, const ProcessResult & process, int timeout_s) {
    const Json document = Json::parse(process.out, nullptr, /*allow_exceptions=*/false);
    if (!process.ok()) {
        const int exit_code = process.exit_code == 0 ? 1 : process.exit_code;
        return failure(run, failure_message(process, document, timeout_s), exit_code);
    }
    const std::string reason = defect(document, run.at("settings"));
    if (!reason.empty()) return failure(run, fmt::format("the output of the run {}", reason), 1);
    Json result{{"run", run}};
    result.update(document);
    return result;
}

}  // namespace shimmy::lab

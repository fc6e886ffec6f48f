#include "lab/plan/result.h"

#include "base/error.h"
#include "base/text/units.h"
#include "lab/campaign/tasks.h"

#include <algorithm>
#include <array>

namespace shimmy::lab {

namespace {

// Figures and facts that tables are made from: JSON pointer and kind.
enum class Kind {
    text,
    object,
    flag,
    ms,
    rate,            // per second
    whole,           // a count, or bytes
    times,           // [ms, …]
    texts,           // [text, …]
    devices,         // [{"device_used_bytes": bytes or null, …}, …]
    expert_uses,     // [{"layer", "expert", "hits", "bytes"}, …]
    expert_tensors,  // [{"name", "type", "buffer_type", "host", "bytes"}, …]
};
struct Field {
    const char * pointer;
    Kind kind;
};
constexpr std::array<Field, 17> REQUIRED{{
    {"/shimmy_version", Kind::text},
    {"/llama_cpp_version", Kind::text},
    {"/model/size_bytes", Kind::whole},
    {"/placement", Kind::text},
    {"/device/name", Kind::text},
    {"/device/description", Kind::text},
    {"/device/backend", Kind::text},
    {"/device/kind", Kind::text},
    {"/host/cpu", Kind::text},
    {"/host/os", Kind::text},
    {"/host/n_cores", Kind::whole},
    {"/host/ram_bytes", Kind::whole},
    {"/n_threads", Kind::whole},
    {"/load_ms", Kind::ms},
    {"/peak_rss_bytes", Kind::whole},
    {"/memory/vram_bytes", Kind::whole},
    {"/memory/vram", Kind::object},
}};
// Of one request.
constexpr std::array<Field, 8> REQUIRED_OF_ANSWER{{
    {"/n_prompt_tokens", Kind::whole},
    {"/n_output_tokens", Kind::whole},
    {"/text", Kind::text},
    {"/ttft_ms", Kind::ms},
    {"/prefill_tps", Kind::rate},
    {"/total_ms", Kind::ms},
    {"/cold", Kind::object},
    {"/cold/ttft_ms", Kind::ms},
}};
constexpr std::array<Field, 13> REQUIRED_OF_LOAD{{
    {"/load/n_clients", Kind::whole},
    {"/load/duration_ms", Kind::ms},
    {"/load/n_requests", Kind::whole},
    {"/load/n_failed_requests", Kind::whole},
    {"/load/n_output_tokens", Kind::whole},
    {"/load/total_tps", Kind::rate},
    {"/load/ttft_ms/p50", Kind::ms},
    {"/load/ttft_ms/p90", Kind::ms},
    {"/load/ttft_ms/p99", Kind::ms},
    {"/load/gap_ms/p50", Kind::ms},
    {"/load/gap_ms/p90", Kind::ms},
    {"/load/gap_ms/p99", Kind::ms},
    {"/load/n_sse_defects", Kind::whole},
}};
// These may be missing or null.
constexpr std::array<Field, 16> OPTIONAL{{
    {"/device/software", Kind::flag},
    {"/host/name", Kind::text},
    {"/decode_tps", Kind::rate},
    {"/token_ms", Kind::times},
    {"/cold/prefill_tps", Kind::rate},
    {"/cold/decode_tps", Kind::rate},
    {"/cold/same_text", Kind::flag},
    {"/memory/expert_ram_bytes", Kind::whole},
    {"/memory/vram/model_bytes", Kind::whole},
    {"/memory/vram/context_bytes", Kind::whole},
    {"/memory/vram/compute_bytes", Kind::whole},
    {"/memory/vram/expert_cache_bytes", Kind::whole},
    {"/memory/devices", Kind::devices},
    {"/expert_use", Kind::expert_uses},
    {"/expert_tensors", Kind::expert_tensors},
    {"/sse/defects", Kind::texts},
}};

// Above these a figure was not measured: a run ends after seven days at most, and no machine is that fast.
constexpr double MAX_MS = 1e9;
constexpr double MAX_RATE = 1e9;

bool is_between(const Json & value, double most) {
    return value.is_number() && value.get<double>() >= 0.0 && value.get<double>() <= most;
}

bool is_whole(const Json & value) {
    return value.is_number_integer() && value >= 0;
}

template <typename Fits>
bool all_of(const Json & list, const Fits & fits) {
    return list.is_array() && std::all_of(list.begin(), list.end(), fits);
}

bool is_device(const Json & device) {
    if (!device.is_object()) return false;
    const Json used = device.value("device_used_bytes", Json());
    return used.is_null() || is_whole(used);
}

bool is_expert_use(const Json & use) {
    const auto has = [&](const char * key) { return use.contains(key) && is_whole(use.at(key)); };
    return use.is_object() && has("layer") && has("expert") && has("hits") && has("bytes");
}

bool is_expert_tensor(const Json & tensor) {
    const auto is_text = [&](const char * key) { return tensor.contains(key) && tensor.at(key).is_string(); };
    return tensor.is_object() && is_text("name") && is_text("type") && is_text("buffer_type") &&
           tensor.value("host", Json()).is_boolean() && is_whole(tensor.value("bytes", Json()));
}

bool has_kind(const Json & value, Kind kind) {
    switch (kind) {
        case Kind::text:
            return value.is_string();
        case Kind::object:
            return value.is_object();
        case Kind::flag:
            return value.is_boolean();
        case Kind::ms:
            return is_between(value, MAX_MS);
        case Kind::rate:
            return is_between(value, MAX_RATE);
        case Kind::whole:
            return is_whole(value);
        case Kind::times:
            return all_of(value, [](const Json & time) { return is_between(time, MAX_MS); });
        case Kind::texts:
            return all_of(value, [](const Json & text) { return text.is_string(); });
        case Kind::devices:
            return all_of(value, is_device);
        case Kind::expert_uses:
            return all_of(value, is_expert_use);
        case Kind::expert_tensors:
            return all_of(value, is_expert_tensor);
    }
    return false;
}

std::string name_of(const Field & field) {
    return field.pointer + 1;  // without the first '/'
}

// What is wrong with the field; empty if nothing is. A field that is not `required` may be missing or null.
std::string field_defect(const Json & document, const Field & field, bool required) {
    const Json::json_pointer pointer(field.pointer);
    const bool there = document.contains(pointer) && !document.at(pointer).is_null();
    if (!there) return required ? fmt::format("lacks {}", name_of(field)) : "";
    if (has_kind(document.at(pointer), field.kind)) return "";
    return fmt::format("cannot have {} as its {}", json_text(document.at(pointer), -1).substr(0, 40), name_of(field));
}

template <size_t N>
std::string first_defect(const Json & document, const std::array<Field, N> & fields, bool required) {
    for (const Field & field : fields) {
        if (std::string defect = field_defect(document, field, required); !defect.empty()) return defect;
    }
    return "";
}

// Of the fields that a document of this mode has; empty if there is none.
std::string fields_defect(const Json & document, bool load) {
    std::string defect = first_defect(document, REQUIRED, /*required=*/true);
    if (defect.empty())
        defect = load ? first_defect(document, REQUIRED_OF_LOAD, /*required=*/true)
                      : first_defect(document, REQUIRED_OF_ANSWER, /*required=*/true);
    if (defect.empty()) defect = first_defect(document, OPTIONAL, /*required=*/false);
    const bool lacks_rate = !load && !document.contains("decode_tps");  // null if there were not two tokens
    return defect.empty() && lacks_rate ? "lacks decode_tps" : defect;
}

std::string failure_message(const ProcessResult & process, const Json & document, int timeout_s) {
    if (process.timed_out) return fmt::format("did not finish within {} s", timeout_s);
    const Json::json_pointer message("/error/message");
    if (document.is_object() && document.contains(message) && document.at(message).is_string())
        return document.at(message);
    return failure_of(process);
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
    if (run.mode == Mode::task) {
        settings.update(task_settings(campaign.tasks.at(run.task)));
        settings.update({{"threads", campaign.n_threads},
                         {"device", campaign.device},
                         {"gpu_backend", backends.gpu},
                         {"moe_backend", backends.moe}});
        return settings;
    }
    if (run.mode == Mode::load) {
        Json prompts = Json::array();
        for (const Prompt & prompt : campaign.prompts)
            prompts.push_back(prompt.text);
        settings.update({{"n_clients", run.n_clients}, {"duration_s", campaign.load.duration_s}, {"prompts", prompts}});
    } else {
        const Prompt & prompt = campaign.prompts.at(run.prompt);
        settings.update({{"prompt_id", prompt.id}, {"prompt", prompt.text}});
    }
    const RunOptions options = run_options(campaign, run, backends);
    settings.update({
        {"repeat", run.repeat},
        {"max_tokens", options.max_tokens},
        {"seed", campaign.seed},
        {"temperature", campaign.temperature},
        {"n_ctx", options.n_ctx},
        {"threads", options.n_threads},
        {"device", campaign.device},
        {"gpu_backend", backends.gpu},
        {"moe_backend", options.moe_backend},
    });
    // Results without one of these stay as they are.
    if (options.moe_cache != "off") settings["moe_cache"] = options.moe_cache;
    if (!run.point.empty()) settings["axes"] = axes_json(run.point);
    if (!trace_path(campaign, variant, run).empty()) settings["expert_trace"] = true;
    return settings;
}

namespace {

// An axis whose value the document tells, too. A label that is not what ran would be worse than no figure.
std::string axes_defect(const Json & document, const Json & axes) {
    constexpr std::array<std::pair<const char *, const char *>, 3> TOLD{
        {{"threads", "n_threads"}, {"depth", "depth"}, {"prompt_tokens", "n_prompt_tokens"}}};
    for (const auto & [axis, member] : TOLD) {
        const int wanted = axes.value(axis, 0);
        if (wanted > 0 && document.value(member, Json(0)) != wanted)
            return fmt::format("ran with {} {}, not {}", axis, json_text(document.value(member, Json(0)), -1), wanted);
    }
    const std::string moe_backend = axes.value("moe_backend", "auto");
    const Json used = document.value("moe_backend", Json());
    if (moe_backend != "auto" && used.is_boolean() && used != (moe_backend == "on"))
        return fmt::format("ran with libggml-moe {}, not {}", used ? "on" : "off", moe_backend);
    return "";
}

}  // namespace

std::string defect(const Json & document, const Json & settings) {
    if (!document.is_object()) return "is not a JSON document";
    if (settings.at("mode") == to_string(Mode::task)) return task_defect(document, settings);
    std::string wrong = fields_defect(document, settings.at("mode") == to_string(Mode::load));
    if (!wrong.empty()) return wrong;
    if (document["placement"] != settings["placement"]) {
        return fmt::format("ran as {}, not as {}", document["placement"].get<std::string>(),
                           settings["placement"].get<std::string>());
    }
    wrong = axes_defect(document, settings.value("axes", Json::object()));
    if (!wrong.empty()) return wrong;
    const uint64_t expert_ram_bytes = document["memory"].value("expert_ram_bytes", uint64_t{0});
    if (settings["placement"] == "baseline" && expert_ram_bytes > 0) {
        return fmt::format("is a false baseline: {} of experts stayed in RAM, because {} cannot hold or compute them",
                           format_bytes(expert_ram_bytes), document["device"]["name"].get<std::string>());
    }
    return "";
}

StoredResult load_result(const fs::path & file, const Json & settings) {
    if (!fs::exists(file)) return {ResultState::absent, "not run yet", {}};
    Json document = read_json(file);
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

Json failed_result(const Json & run, const std::string & message) {
    return failure(run, message, 1);
}

Json make_result(const Json & run, const ProcessResult & process, int timeout_s) {
    const Json document = parse_json(process.out);
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

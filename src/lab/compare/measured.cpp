#include "lab/compare/measured.h"

#include "base/error.h"
#include "base/text/units.h"

namespace shimmy::lab {

namespace {

std::string text_of(const Json & value) {
    if (value.is_null()) return UNKNOWN;
    return value.is_string() ? value.get<std::string>() : json_text(value, -1);
}

Json at(const Json & document, const char * pointer) {
    const Json::json_pointer where(pointer);
    return document.contains(where) ? document.at(where) : Json();
}

// What every run shares.
std::vector<Fact> facts_of(const Json & summary) {
    std::vector<Fact> facts;
    const auto add = [&](const char * name, const char * pointer) {
        facts.push_back({name, text_of(at(summary, pointer))});
    };
    add("shimmy version", "/shimmy_version");
    add("llama.cpp version", "/llama_cpp_version");
    add("device", "/device/description");
    add("device backend", "/device/backend");
    add("software device", "/device/software");
    add("machine", "/host/name");
    add("CPU", "/host/cpu");
    add("cores", "/host/n_cores");
    const Json ram = at(summary, "/host/ram_bytes");
    facts.push_back({"RAM", ram.is_number_unsigned() ? format_bytes(ram.get<uint64_t>()) : UNKNOWN});
    add("operating system", "/host/os");
    add("threads", "/n_threads");
    add("context", "/settings/n_ctx");
    add("maximum of output tokens", "/settings/max_tokens");
    add("temperature", "/settings/temperature");
    add("seed", "/settings/seed");
    return facts;
}

// What `lab run` was told on its command line, which the summary does not have.
void add_backends(const fs::path & folder, std::vector<Fact> & facts) {
    const fs::path file = folder / "campaign.json";
    const Json plan = fs::exists(file) ? read_json(file) : Json::object();
    if (!plan.is_object()) return;
    for (const auto & [name, key] :
         {std::pair{"GPU backend", "gpu_backend"}, {"libggml-moe", "moe_backend"}, {"expert cache", "moe_cache"}})
        facts.push_back({name, text_of(plan.value(key, Json()))});
}

std::string settings_text(const Json & entry) {
    std::string text;
    const Json axes = entry.value("axes", Json::object());
    for (const auto & [key, value] : axes.items())
        text += fmt::format("{}{} {}", text.empty() ? "" : ", ", key, text_of(value));
    return text;
}

MeasuredKey key_of(const Json & entry, const std::string & mode) {
    return {entry.at("model"),    entry.at("quantization"),   entry.at("placement"), mode,
            settings_text(entry), entry.value("n_clients", 0)};
}

MeasuredCell cell_of(const Json & entry) {
    MeasuredCell cell;
    cell.vram_bytes = entry.at("vram_bytes");
    for (const Json & sample : entry.at("samples"))
        cell.runs.push_back({sample.at("prompt_id"), sample.at("repeat"), sample.at("decode_tps"),
                             sample.at("prefill_tps"), sample.at("ttft_ms")});
    for (const Json & text : entry.at("texts"))
        cell.answers[text.at("prompt_id")] = text.at("text");
    return cell;
}

MeasuredLoad load_of(const Json & entry) {
    const Json & rate = entry.at("total_tps");
    const double mean = rate.at("mean");
    const Json & high = rate.at("ci95_high");
    return {rate.at("n"), mean, high.is_number() ? high.get<double>() - mean : 0.0, entry.at("vram_bytes")};
}

std::map<uint64_t, bool> right_answers(const fs::path & result, const std::string & metric) {
    std::map<uint64_t, bool> right;
    if (!fs::exists(result)) return right;
    const Json document = read_json(result);
    for (const Json & question : document.at("models").at(0).at("questions"))
        right[question.at("question")] = question.at("right").at(metric);
    return right;
}

MeasuredTask task_of(const Json & entry, const Json & settings, const fs::path & folder) {
    MeasuredTask task;
    for (Json asked : settings) {
        if (asked.at("task") != entry.at("task")) continue;
        for (const char * name : {"file", "use"})  // say nothing of what was asked
            asked.erase(name);
        task.asked = json_text(asked, -1);
    }
    const Json & decisive = entry.at("metrics").back();
    task.metric = decisive.at("name");
    task.share = decisive.at("share");
    const fs::path file = fs::path(entry.at("file").get<std::string>()).lexically_normal();
    const bool is_inside = file.is_relative() && *file.begin() != "..";
    if (is_inside) task.right = right_answers(folder / file, task.metric);
    return task;
}

MeasuredCampaign measured_of(const Json & summary, const fs::path & folder) {
    MeasuredCampaign measured;
    measured.folder = folder;
    measured.name = summary.at("campaign");
    measured.version = fmt::format("shimmy {}, llama.cpp {}", text_of(at(summary, "/shimmy_version")),
                                   text_of(at(summary, "/llama_cpp_version")));
    measured.facts = facts_of(summary);
    for (const Json & prompt : summary.at("settings").at("prompts"))
        measured.prompts[prompt.at("id")] = prompt.at("text");
    for (const Json & file : summary.at("variants"))
        measured.files[{file.at("model"), file.at("quantization")}] = text_of(file.at("model_sha256"));
    for (const Json & entry : summary.at("cells")) {
        if (entry.contains("samples")) measured.cells[key_of(entry, entry.at("mode"))] = cell_of(entry);
    }
    for (const Json & entry : summary.at("load"))
        measured.load[key_of(entry, "load")] = load_of(entry);
    const Json task_settings = summary.at("settings").value("tasks", Json::array());
    for (const Json & entry : summary.value("tasks", Json::array())) {
        MeasuredKey key;
        key.model = entry.at("model");
        key.quantization = entry.at("quantization");
        key.task = entry.at("task");
        measured.tasks[key] = task_of(entry, task_settings, folder);
    }
    return measured;
}

}  // namespace

std::string MeasuredKey::text() const {
    if (!task.empty()) return fmt::format("{} {}, task {}", model, quantization, task);
    std::string text = fmt::format("{} {} {}, {}", model, quantization, placement, mode);
    if (n_clients > 0) text += fmt::format(", {} client(s)", n_clients);
    return settings.empty() ? text : text + ", " + settings;
}

MeasuredCampaign read_measured(const fs::path & folder) {
    const fs::path file = folder / "summary.json";
    if (!fs::is_directory(folder)) fail("{}: no such folder", folder.string());
    if (!fs::exists(file))
        fail("{}: holds no summary.json: name the output folder of a campaign (shimmy lab report writes the file)",
             folder.string());
    const Json summary = read_json(file);
    try {
        MeasuredCampaign measured = measured_of(summary, folder);
        add_backends(folder, measured.facts);
        return measured;
    } catch (const Json::exception & error) {
        fail("{}: is no summary of a campaign ({})", file.string(), error.what());
    }
}

}  // namespace shimmy::lab

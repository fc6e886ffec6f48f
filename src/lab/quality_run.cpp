#include "lab/quality_run.h"

#include "base/error.h"
#include "base/progress.h"

#include <algorithm>
#include <map>

namespace shimmy::lab {

namespace {

std::vector<size_t> variants_of(const CampaignPlan & plan, size_t model) {
    std::vector<size_t> found;
    for (size_t i = 0; i < plan.variants.size(); ++i) {
        if (plan.variants[i].campaign_model == model && !plan.sha256[i].empty()) found.push_back(i);
    }
    return found;
}

// The document's sha256 per quantization.
std::map<std::string, std::string> measured_files(const Json & document) {
    std::map<std::string, std::string> files;
    const Json models = document.value("models", Json::array());
    for (const Json & entry : models) {
        if (entry.is_object()) files[entry.value("quant", "")] = entry.value("sha256", "");
    }
    return files;
}

bool is_current(const CampaignPlan & plan, size_t model, const std::string & sha256_of_text) {
    const fs::path file = quality_path(plan.campaign, plan.campaign.models[model].name);
    if (!fs::exists(file)) return false;
    const Json document = Json::parse(read_file(file), nullptr, /*allow_exceptions=*/false);
    if (!document.is_object() || !document.value("text", Json()).is_object()) return false;
    if (document["text"].value("sha256", "") != sha256_of_text ||
        document.value("max_chunks", -1) != plan.campaign.quality.chunks)
        return false;
    if (plan.campaign.quality.check_offload && !document.contains("offload")) return false;
    if (plan.program_version.find(document.value("llama_cpp_version", "?")) == std::string::npos) return false;
    const auto files = measured_files(document);
    const std::vector<size_t> variants = variants_of(plan, model);
    return std::all_of(variants.begin(), variants.end(), [&](size_t i) {
        const auto found = files.find(plan.variants[i].quantization);
        return found != files.end() && found->second == plan.sha256[i];
    });
}

// The last line of a failed process, which says why.
std::string reason(const ProcessResult & process) {
    std::string text = process.err;
    while (!text.empty() && text.back() == '\n')
        text.pop_back();
    const std::string line = text.substr(text.rfind('\n') + 1);
    return line.empty() ? fmt::format("exit code {}", process.exit_code) : line;
}

}  // namespace

fs::path quality_path(const Campaign & campaign, const std::string & model) {
    return campaign.out_dir / "quality" / (model + ".json");
}

std::vector<size_t> qualities_to_measure(const CampaignPlan & plan, const std::string & sha256_of_text) {
    std::vector<size_t> models;
    for (size_t i = 0; i < plan.campaign.models.size(); ++i) {
        if (plan.campaign.models[i].is_synthetic() || variants_of(plan, i).empty()) continue;
        if (!is_current(plan, i, sha256_of_text)) models.push_back(i);
    }
    return models;
}

std::vector<std::string> quality_arguments(const CampaignPlan & plan, size_t model) {
    const Campaign & campaign = plan.campaign;
    const fs::path & base = campaign.models[model].path;
    std::vector<std::string> arguments{"quality",
                                       "--base",
                                       base.string(),
                                       "--text",
                                       campaign.quality.text.string(),
                                       "--chunks",
                                       std::to_string(campaign.quality.chunks),
                                       "--cpu-moe",
                                       "--json",
                                       "--gpu-backend",
                                       plan.backends.gpu,
                                       "--moe-backend",
                                       plan.backends.moe,
                                       "--threads",
                                       std::to_string(campaign.n_threads)};
    // "gpu" may be a software device, whose predictions are those of the CPU and take many times as long.
    const bool check_offload = campaign.quality.check_offload;
    if (campaign.device != "gpu" || check_offload) arguments.insert(arguments.end(), {"--device", campaign.device});
    if (check_offload) arguments.emplace_back("--check-offload");
    for (const size_t i : variants_of(plan, model)) {
        if (!plan.variants[i].is_input()) arguments.push_back(plan.variants[i].path.string());
    }
    return arguments;
}

void measure_qualities(const CampaignPlan & plan, const CampaignOptions & options, const Hooks & hooks,
                       RunStateFile & state) {
    const Campaign & campaign = plan.campaign;
    if (campaign.quality.text.empty()) return;
    const std::vector<size_t> models = qualities_to_measure(plan, sha256_hex(read_file(campaign.quality.text)));
    if (models.empty()) return;
    ensure_writable_dir(campaign.out_dir / "quality");
    Progress progress("quality", options.quiet);
    for (size_t done = 0; done < models.size(); ++done) {
        const std::string & name = campaign.models[models[done]].name;
        state.update("quality", name, done, models.size());
        progress.update(done, models.size());
        std::vector<std::string> command = quality_arguments(plan, models[done]);
        command.insert(command.begin(), options.program);
        const ProcessResult process = hooks.launch(command, std::chrono::milliseconds(0));  // as long as it takes
        const Json document = Json::parse(process.out, nullptr, /*allow_exceptions=*/false);
        if (!document.is_object() ||
            !document.contains("models")) {  // a defect that was found ends with an error, too, but after the document
            progress.note(fmt::format("quality of {}: failed: {}", name, reason(process)));
            continue;
        }
        write_file_atomic(quality_path(campaign, name), process.out);
        progress.note(fmt::format("quality of {}: measured on {} chunks{}", name, document.value("n_chunks", 0),
                                  process.ok() ? "" : "; OFFLOAD IS DEFECTIVE, see the report"));
    }
    progress.update(models.size(), models.size());
}

}  // namespace shimmy::lab

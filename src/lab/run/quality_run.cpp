#include "lab/run/quality_run.h"

#include "base/error.h"
#include "base/process/progress.h"
#include "lab/measure/quality_document.h"

#include <algorithm>

namespace shimmy::lab {

namespace {

std::vector<size_t> variants_of(const CampaignPlan & plan, size_t model) {
    std::vector<size_t> found;
    for (size_t i = 0; i < plan.variants.size(); ++i) {
        if (plan.variants[i].campaign_model == model && !plan.sha256[i].empty()) found.push_back(i);
    }
    return found;
}

// The document that is there, if it is of this text, as many chunks, this original and this llama.cpp; else an empty
// one.
Json document_so_far(const CampaignPlan & plan, size_t model, const std::string & sha256_of_text) {
    const fs::path file = quality_path(plan.campaign, plan.campaign.models[model].name);
    if (!fs::exists(file)) return Json::object();
    const Json document = read_json(file);
    const auto is_object = [&](const char * key) { return document.value(key, Json()).is_object(); };
    if (!document.is_object() || !is_object("text") || !is_object("base")) return Json::object();
    const bool same = document["text"].value("sha256", "") == sha256_of_text &&
                      document["base"].value("file", "") == plan.campaign.models[model].path.string() &&
                      document.value("max_chunks", -1) == plan.campaign.quality.chunks &&
                      plan.program_version.find(document.value("llama_cpp_version", "?")) != std::string::npos;
    return same ? document : Json::object();
}

// The entry of a quantization in a list of the document, or null.
Json entry_of(const Json & document, const char * list, const std::string & quantization) {
    for (const Json & entry : document.value(list, Json::array())) {
        if (entry.is_object() && entry.value("quant", "") == quantization) return entry;
    }
    return nullptr;
}

bool is_measured(const CampaignPlan & plan, size_t variant, const Json & document) {
    const std::string & quantization = plan.variants[variant].quantization;
    const Json entry = entry_of(document, "models", quantization);
    if (entry.is_null() || entry.value("sha256", "") != plan.sha256[variant]) return false;
    return !plan.campaign.quality.check_offload || !entry_of(document, "offload", quantization).is_null();
}

// `document` with the entries of `more` in place of its own of the same quantizations. Figures against another original
// are not mixed: those of `document` are left out, and measured again by the next run.
Json merged(const Json & document, const Json & more) {
    if (document.value("base", Json()) != more.value("base", Json())) return more;
    Json result = more;
    for (const char * list : {"models", "offload"}) {
        Json entries = Json::array();
        for (const Json & old : document.value(list, Json::array())) {
            if (old.is_object()) entries.push_back(old);
        }
        for (const Json & entry : more.value(list, Json::array())) {
            const auto same = std::find_if(entries.begin(), entries.end(), [&](const Json & old) {
                return old.value("quant", "") == entry.value("quant", "?");
            });
            if (same == entries.end()) {
                entries.push_back(entry);
            } else {
                *same = entry;
            }
        }
        if (more.contains(list)) result[list] = entries;
    }
    return result;
}

}  // namespace

fs::path quality_path(const Campaign & campaign, const std::string & model) {
    return campaign.out_dir / "quality" / (model + ".json");
}

std::vector<size_t> qualities_to_measure(const CampaignPlan & plan, const std::string & sha256_of_text) {
    std::vector<size_t> variants;
    for (size_t model = 0; model < plan.campaign.models.size(); ++model) {
        if (plan.campaign.models[model].is_synthetic()) continue;
        const Json document = document_so_far(plan, model, sha256_of_text);
        std::vector<size_t> of_model = variants_of(plan, model);
        std::erase_if(of_model, [&](size_t i) { return is_measured(plan, i, document); });
        // The original last: its figures come with those of any other file.
        std::stable_partition(of_model.begin(), of_model.end(), [&](size_t i) { return !plan.variants[i].is_input(); });
        variants.insert(variants.end(), of_model.begin(), of_model.end());
    }
    return variants;
}

std::vector<std::string> quality_arguments(const CampaignPlan & plan, size_t variant) {
    const Campaign & campaign = plan.campaign;
    const Variant & measured = plan.variants[variant];
    std::vector<std::string> arguments{"quality",
                                       "--base",
                                       campaign.models[measured.campaign_model].path.string(),
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
                                       "--moe-cache",
                                       "off",
                                       "--threads",
                                       std::to_string(campaign.n_threads)};
    // "gpu" may be a software device, whose predictions are those of the CPU and take many times as long.
    if (campaign.device != "gpu") arguments.insert(arguments.end(), {"--device", campaign.device});
    if (campaign.quality.check_offload)
        arguments.insert(arguments.end(), {"--check-offload", "--check-device", campaign.device});
    if (!measured.is_input()) arguments.push_back(measured.path.string());
    return arguments;
}

void measure_qualities(const CampaignPlan & plan, const CampaignOptions & options, const Hooks & hooks,
                       RunStateFile & state) {
    const Campaign & campaign = plan.campaign;
    if (campaign.quality.text.empty()) return;
    const std::string sha256_of_text = sha256_hex(read_file(campaign.quality.text));
    const std::vector<size_t> variants = qualities_to_measure(plan, sha256_of_text);
    if (variants.empty()) return;
    ensure_writable_dir(campaign.out_dir / "quality");
    Progress progress("quality", options.quiet);
    for (size_t done = 0; done < variants.size(); ++done) {
        const Variant & variant = plan.variants[variants[done]];
        const std::string & model = campaign.models[variant.campaign_model].name;
        const std::string what = model + " " + variant.quantization;
        const Json so_far = document_so_far(plan, variant.campaign_model, sha256_of_text);
        if (is_measured(plan, variants[done], so_far)) continue;  // the original, beside another file
        state.update("quality", what, done, variants.size());
        progress.update(done, variants.size());
        std::vector<std::string> command = quality_arguments(plan, variants[done]);
        command.insert(command.begin(), options.program);
        const ProcessResult process = [&] {
            const std::jthread clock = progress.count_down();
            return hooks.launch(command, std::chrono::milliseconds(0));  // as long as it takes
        }();
        Json document = parse_json(process.out);
        if (find_mix(campaign, variant.quantization) != nullptr) name_mix(document, variant.path, variant.quantization);
        if (!document.is_object() ||
            !document.contains("models")) {  // a defect that was found ends with an error, too, but after the document
            progress.note(fmt::format("quality of {}: failed: {}", what, failure_of(process)));
            continue;
        }
        write_file_atomic(quality_path(campaign, model), json_text(merged(so_far, document)) + "\n");
        progress.note(fmt::format("quality of {}: measured on {} chunks{}", what, document.value("n_chunks", 0),
                                  process.ok() ? "" : "; OFFLOAD IS DEFECTIVE, see the report"));
    }
    progress.update(variants.size(), variants.size());
}

}  // namespace shimmy::lab

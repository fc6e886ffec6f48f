#include "lab/plan/plan_file.h"

#include "base/error.h"
#include "lab/campaign/tasks.h"

#include <optional>

namespace shimmy::lab {

namespace {

fs::path plan_file(const fs::path & out_dir) {
    return out_dir / "campaign.json";
}

Json to_json(const InputInfo & info) {
    return {{"quantization", info.quantization}, {"already_quantized", info.already_quantized},
            {"n_expert", info.n_expert},         {"n_layer", info.n_layer},
            {"n_ctx_train", info.n_ctx_train},   {"arch", info.arch},
            {"languages", info.languages},       {"prompt_format", info.prompt_format},
            {"sampling", info.sampling}};
}

InputInfo input_of(const Json & json) {
    return {json.at("quantization"),
            json.at("already_quantized"),
            json.at("n_expert"),
            json.at("n_layer"),
            json.at("n_ctx_train"),
            json.at("arch"),
            json.value("languages", std::vector<std::string>()),
            json.value("prompt_format", ""),
            json.value("sampling", "")};
}

Json to_json(const CampaignPlan & plan, size_t i) {
    const Variant & variant = plan.variants[i];
    return {
        {"model", variant.model},          {"quantization", variant.quantization},     {"path", variant.path.string()},
        {"input", variant.input.string()}, {"campaign_model", variant.campaign_model}, {"sha256", plan.sha256[i]},
        {"error", plan.errors[i]}};
}

// What was found out about a task's files, which need not be there any more.
Json to_json(const CampaignTask & task) {
    return {{"id", task.id},
            {"form", task.form},
            {"sha256", task.sha256},
            {"shots_sha256", task.shots_sha256},
            {"n_questions", task.n_questions}};
}

void take_tasks(Campaign & campaign, const Json & stored) {
    for (CampaignTask & task : campaign.tasks) {
        for (const Json & known : stored) {
            if (known.at("id") != task.id) continue;
            task.form = known.at("form");
            task.sha256 = known.at("sha256");
            task.shots_sha256 = known.at("shots_sha256");
            task.n_questions = known.at("n_questions");
        }
    }
}

CampaignPlan plan_of(const Json & json, const fs::path & out_dir) {
    CampaignPlan plan;
    plan.campaign = parse_campaign(json.at("text").get<std::string>(), json.at("file").get<std::string>());
    plan.campaign.out_dir = out_dir;
    take_tasks(plan.campaign, json.value("tasks", Json::array()));
    plan.campaign.device = json.at("device");
    plan.backends = {json.at("gpu_backend"), json.at("moe_backend"), json.value("moe_cache", "off")};
    plan.command = json.at("command");
    plan.program_version = json.at("program");
    for (const Json & model : json.at("models"))
        plan.inputs.push_back(input_of(model));
    for (const Json & variant : json.at("variants")) {
        plan.variants.push_back({variant.at("model"), variant.at("quantization"), variant.at("path").get<std::string>(),
                                 variant.at("input").get<std::string>(), variant.at("campaign_model")});
        plan.sha256.push_back(variant.at("sha256"));
        plan.errors.push_back(variant.at("error"));
    }
    plan.runs = plan_runs(plan.campaign, plan.variants);
    look_up_results(plan);
    return plan;
}

// Index of the model with the same name and source; nullopt if the plan has none.
std::optional<size_t> find_model(const Campaign & campaign, const CampaignModel & wanted) {
    for (size_t i = 0; i < campaign.models.size(); ++i) {
        const CampaignModel & model = campaign.models[i];
        if (model.name == wanted.name && model.source() == wanted.source() && model.n_layers == wanted.n_layers &&
            model.sparse == wanted.sparse && model.imatrix == wanted.imatrix &&
            model.imatrix_text == wanted.imatrix_text && model.imatrix_chunks == wanted.imatrix_chunks)
            return i;
    }
    return std::nullopt;
}

// What a mix of this name is made of; empty if it is none.
std::string recipe_of(const Campaign & campaign, const std::string & quantization) {
    const Mix * mix = find_mix(campaign, quantization);
    return mix == nullptr ? "" : mix->recipe();
}

}  // namespace

void write_plan(const CampaignPlan & plan) {
    const Campaign & campaign = plan.campaign;
    Json models = Json::array();
    for (const InputInfo & info : plan.inputs)
        models.push_back(to_json(info));
    Json variants = Json::array();
    for (size_t i = 0; i < plan.variants.size(); ++i)
        variants.push_back(to_json(plan, i));
    Json tasks = Json::array();
    for (const CampaignTask & task : campaign.tasks)
        tasks.push_back(to_json(task));
    const Json json{{"campaign", campaign.name},
                    {"command", plan.command},
                    {"program", plan.program_version},
                    {"device", campaign.device},
                    {"gpu_backend", plan.backends.gpu},
                    {"moe_backend", plan.backends.moe},
                    {"moe_cache", plan.backends.moe_cache},
                    {"models", models},
                    {"variants", variants},
                    {"tasks", tasks},
                    {"file", fs::absolute(campaign.file).string()},
                    {"text", campaign.text}};
    write_file_atomic(plan_file(campaign.out_dir), json_text(json) + "\n");
}

CampaignPlan read_plan(const fs::path & out_dir) {
    const fs::path file = plan_file(out_dir);
    if (!fs::exists(file)) fail("{}: not there: run the campaign first (shimmy lab run CAMPAIGN.toml)", file.string());
    try {
        return plan_of(read_json(file), out_dir);
    } catch (const Json::exception & error) {
        fail("{}: is damaged ({}): run the campaign again, finished runs are kept", file.string(), error.what());
    }
}

CampaignPlan read_plan_for(const Campaign & now, const std::function<InputInfo(const CampaignModel &)> & read_input) {
    const CampaignPlan stored = read_plan(now.out_dir);
    CampaignPlan plan;
    plan.campaign = now;
    plan.campaign.device = stored.campaign.device;  // `lab run --device` is no part of the file
    look_at_tasks(plan.campaign);
    plan.backends = stored.backends;
    plan.command = stored.command;
    plan.program_version = stored.program_version;
    for (const CampaignModel & model : now.models) {
        const auto known = find_model(stored.campaign, model);
        plan.inputs.push_back(known ? stored.inputs.at(*known) : read_input(model));
    }
    plan.variants = plan_variants(now, plan.inputs);
    plan.sha256.resize(plan.variants.size());
    plan.errors.resize(plan.variants.size());
    for (size_t i = 0; i < plan.variants.size(); ++i) {
        const Variant & variant = plan.variants[i];
        if (!find_model(stored.campaign, now.models[variant.campaign_model])) continue;
        for (size_t j = 0; j < stored.variants.size(); ++j) {
            const Variant & other = stored.variants[j];
            if (other.model != variant.model || other.quantization != variant.quantization ||
                recipe_of(stored.campaign, other.quantization) != recipe_of(now, variant.quantization))
                continue;
            plan.sha256[i] = stored.sha256[j];
            plan.errors[i] = stored.errors[j];
        }
    }
    plan.runs = plan_runs(now, plan.variants);
    look_up_results(plan);
    return plan;
}

void take_document_keys(CampaignPlan & plan, const Campaign & now) {
    plan.campaign.creator = now.creator;
    plan.campaign.repo_owner = now.repo_owner;
    plan.campaign.layout = now.layout;
    for (Prompt & prompt : plan.campaign.prompts) {
        for (const Prompt & other : now.prompts) {
            if (other.id != prompt.id) continue;
            prompt.use = other.use;
            prompt.why = other.why;
            prompt.expect = other.expect;
        }
    }
    for (CampaignTask & task : plan.campaign.tasks) {
        for (const CampaignTask & other : now.tasks) {
            if (other.id == task.id) task.use = other.use;
        }
    }
    for (CampaignModel & model : plan.campaign.models) {
        const auto found = find_model(now, model);
        if (!found) continue;
        const CampaignModel & other = now.models[*found];
        model.base_model = other.base_model;
        model.about = other.about;
        model.license = other.license;
        model.license_name = other.license_name;
        model.license_link = other.license_link;
        model.languages = other.languages;
    }
}

}  // namespace shimmy::lab

#include "lab/plan/campaign_plan.h"

#include "base/error.h"
#include "base/version.h"
#include "engine/llama/version.h"
#include "lab/campaign/tasks.h"
#include "lab/plan/hasher.h"
#include "lab/plan/quantized_models.h"

#include <fmt/format.h>

#include <fnmatch.h>

namespace shimmy::lab {

namespace {

constexpr const char * NOT_HASHED = "not hashed";

std::string program_version() {
    return fmt::format("shimmy {} (llama.cpp {})", shimmy_version(), engine::llama_cpp_version());
}

}  // namespace

Json CampaignPlan::settings_of(size_t run) const {
    return run_settings(campaign, variant_of(run), runs.at(run), sha256.at(runs.at(run).variant), program_version,
                        backends);
}

fs::path CampaignPlan::result_path_of(size_t run) const {
    return result_path(campaign, variant_of(run), runs.at(run));
}

std::string CampaignPlan::describe_run(size_t run) const {
    return describe(campaign, variant_of(run), runs.at(run));
}

void look_up_results(CampaignPlan & plan) {
    plan.results.clear();
    for (size_t i = 0; i < plan.runs.size(); ++i) {
        const size_t variant = plan.runs[i].variant;
        if (!plan.sha256.at(variant).empty()) {
            plan.results.push_back(load_result(plan.result_path_of(i), plan.settings_of(i)));
        } else if (!plan.errors.at(variant).empty()) {
            plan.results.push_back({ResultState::failed, "no model file: " + plan.errors[variant], {}});
        } else {
            plan.results.push_back({ResultState::absent, "not run yet", {}});
        }
    }
}

CampaignPlan plan_campaign(const Campaign & campaign, const CampaignOptions & options, const Hooks & hooks) {
    // Not after days of runs.
    if (!campaign.quality.text.empty() && !fs::exists(campaign.quality.text))
        fail("{}: the evaluation text that [quality] names is not there", campaign.quality.text.string());
    for (const CampaignModel & model : campaign.models) {
        for (const fs::path & file : {model.imatrix, model.imatrix_text}) {
            if (!file.empty() && !fs::exists(file))
                fail("{}: the importance matrix of {} needs it, and it is not there", file.string(), model.name);
        }
    }
    for (const Mix & mix : campaign.mixes) {
        if (mix.is_searched() && !fs::exists(mix.text))
            fail("{}: the mix {} is measured on it, and it is not there", mix.text.string(), mix.name);
    }
    CampaignPlan plan;
    plan.campaign = campaign;
    look_at_tasks(plan.campaign);
    plan.backends = options.backends;
    plan.command = options.command;
    plan.program_version = program_version();
    for (const CampaignModel & model : campaign.models)
        plan.inputs.push_back(hooks.read_input(model));
    plan.variants = plan_variants(campaign, plan.inputs);
    // Large files take minutes to hash. A dry run needs no hashes where there is nothing yet that they could confirm.
    const bool hashes = !options.dry_run || fs::exists(campaign.out_dir);
    Hasher hasher(campaign, options.quiet);
    for (const Variant & variant : plan.variants) {
        const std::string input = variant.is_input() || !hashes ? "" : hasher.input_sha256(campaign, variant);
        const auto sha256 = [&](const fs::path & file) { return hasher.sha256(file); };
        const bool ready = variant.is_input() || (hashes && is_up_to_date(variant, input, sha256));
        plan.sha256.push_back(!ready ? "" : hashes ? hasher.sha256(variant.path) : NOT_HASHED);
        plan.errors.push_back(ready || !hashes ? "" : recorded_failure(variant, input));
    }
    if (fs::exists(campaign.out_dir)) hasher.save();
    plan.runs = plan_runs(campaign, plan.variants);
    look_up_results(plan);
    return plan;
}

bool matches(const CampaignPlan & plan, size_t run, const std::string & pattern) {
    if (pattern.empty()) return true;
    const fs::path file = fs::relative(plan.result_path_of(run), plan.campaign.out_dir / "results");
    const std::string name = (file.parent_path() / file.stem()).string();
    return ::fnmatch(("*" + pattern + "*").c_str(), name.c_str(), FNM_CASEFOLD) == 0;
}

std::vector<size_t> runs_to_make(const CampaignPlan & plan, const CampaignOptions & options) {
    std::vector<size_t> result;
    for (size_t i = 0; i < plan.runs.size(); ++i) {
        const ResultState state = plan.results[i].state;
        const bool done = state == ResultState::valid || (state == ResultState::failed && !options.retry_failed);
        if (!done && matches(plan, i, options.only)) result.push_back(i);
    }
    return result;
}

std::vector<size_t> variants_to_make(const CampaignPlan & plan, const CampaignOptions & options) {
    std::vector<size_t> result;
    for (size_t variant = 0; variant < plan.variants.size(); ++variant) {
        const bool there = !plan.sha256[variant].empty();
        const bool failed = !plan.errors[variant].empty() && !options.retry_failed;
        bool wanted = false;
        for (size_t i = 0; i < plan.runs.size() && !wanted; ++i)
            wanted = plan.runs[i].variant == variant && matches(plan, i, options.only);
        if (!there && !failed && wanted) result.push_back(variant);
    }
    return result;
}

}  // namespace shimmy::lab

#include "campaign_folder.h"

#include "base/error.h"
#include "e2e/program.h"
#include "lab/measure/summary.h"
#include "lab/plan/campaign_plan.h"

#include "lab/fabricated_document.h"
#include "lab/plan/plan_file.h"

namespace shimmy::e2e {

namespace {

constexpr const char * CAMPAIGN_FILE = R"(
name = "tiny"
out_dir = "out"
quantizations = ["Q4_K_M", "Q2_K"]
creator = "someone"
layout = "per-model"
n_ctx = 512
[[models]]
path = "tiny-moe-f16.gguf"
name = "tiny-moe"
{}
[[prompts]]
id = "hello"
text = "Hello"
)";

void write_results(const lab::CampaignPlan & plan) {
    for (size_t i = 0; i < plan.runs.size(); ++i) {
        const bool offload = plan.runs[i].placement.offloads();
        Json document =
            lab::fabricated_document(offload ? "offload" : "baseline",
                                     {offload ? uint64_t{1000000} : uint64_t{4000000}, 10.0, offload ? 20.0 : 40.0});
        document["model"]["size_bytes"] = fs::file_size(plan.variant_of(i).path);
        document["run"] = {
            {"campaign", "tiny"}, {"settings", plan.settings_of(i)}, {"started_at", "2026-01-01T00:00:00Z"}};
        fs::create_directories(plan.result_path_of(i).parent_path());
        write_file_atomic(plan.result_path_of(i), document.dump());
    }
}

void write_quality(const lab::CampaignPlan & plan) {
    Json models = Json::array();
    for (size_t i = 0; i < plan.variants.size(); ++i) {
        models.push_back({{"file", plan.variants[i].path.string()},
                          {"sha256", plan.sha256[i]},
                          {"quant", plan.variants[i].quantization}});
        for (const char * figure :
             {"bits_per_weight", "ppl", "ppl_error", "ppl_ratio", "mean_kld", "mean_kld_error", "median_kld", "kld_p90",
              "kld_p99", "kld_p999", "max_kld", "rms_delta_p", "same_top_percent"})
            models.back()[figure] = 1.0;
    }
    const fs::path dir = plan.campaign.out_dir / "quality";
    fs::create_directories(dir);
    write_file_atomic(dir / "tiny-moe.json", Json{{"base", {{"file", "/m.gguf"}, {"sha256", ""}}},
                                                  {"text", {{"file", "invented-for-a-test.txt"}, {"sha256", ""}}},
                                                  {"n_ctx", 256},
                                                  {"n_chunks", 1},
                                                  {"models", models}}
                                                 .dump());
}

}  // namespace

CampaignFolder::CampaignFolder(const std::string & model_keys, const fs::path & q4_k_m) {
    write_file_atomic(file(), fmt::format(CAMPAIGN_FILE, model_keys));
    fs::create_symlink(tiny_moe(), dir_ / "tiny-moe-f16.gguf");
    fs::create_directories(out() / "models");
    lab::CampaignPlan plan;
    plan.campaign = lab::read_campaign(file());
    plan.command = "shimmy lab run " + file().string();
    plan.program_version = "shimmy 0.1.0 (llama.cpp 0.5.0)";
    plan.backends = {"auto", "auto"};
    plan.inputs = {lab::InputInfo{"F16", false, 16, 4, 1024, "deepseek"}};
    plan.variants = lab::plan_variants(plan.campaign, plan.inputs);
    for (const lab::Variant & variant : plan.variants) {
        const bool replaced = !q4_k_m.empty() && variant.quantization == "Q4_K_M";
        fs::create_symlink(replaced ? q4_k_m : tiny_moe(variant.quantization), variant.path);
        plan.sha256.push_back(sha256_file_hex(variant.path));
        plan.errors.emplace_back();
    }
    plan.runs = lab::plan_runs(plan.campaign, plan.variants);
    lab::write_plan(plan);
    write_results(plan);
    write_quality(plan);
}

fs::path CampaignFolder::result(const std::string & type) const {
    return out() / "results/tiny-moe" / type / "offload/generate/hello-1.json";
}

Json CampaignFolder::publish_json() const {
    return Json::parse(read_file(out() / "publish.json"));
}

}  // namespace shimmy::e2e

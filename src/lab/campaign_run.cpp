#include "lab/campaign_run.h"

#include "base/error.h"
#include "base/host.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "base/units.h"
#include "base/version.h"
#include "engine/version.h"
#include "lab/hash_cache.h"
#include "lab/quantized_models.h"
#include "lab/report.h"

#include <fmt/chrono.h>

#include <algorithm>
#include <map>
#include <optional>

namespace shimmy::lab {

namespace {

constexpr uint64_t DISK_MARGIN_BYTES = 16 * MIB;  // metadata and results beside the tensors

constexpr uint64_t QUICK_HASH_BYTES = GIB;  // below, hashing takes seconds and needs no progress bar

std::string program_version() {
    return fmt::format("shimmy {} (llama.cpp {})", shimmy_version(), engine::llama_cpp_version());
}

std::string now_utc() {
    return fmt::format("{:%Y-%m-%dT%H:%M:%S}Z",
                       fmt::gmtime(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now())));
}

fs::path hash_file(const Campaign & campaign) {
    return campaign.out_dir / "hashes.json";
}

// Hashes with a progress bar per file.
class Hasher {
public:
    Hasher(const Campaign & campaign, bool quiet) : cache_(hash_file(campaign)), quiet_(quiet) {}

    std::string sha256(const fs::path & file) {
        return cache_.model_sha256(file, [this](const fs::path & path) -> ByteProgress {
            const bool quick = fs::file_size(path) < QUICK_HASH_BYTES;
            progress_.emplace(fmt::format("sha256 of {}", path.filename().string()), quiet_ || quick);
            return [this](uint64_t done, uint64_t total) { progress_->update(done, total); };
        });
    }
    void save() {
        progress_.reset();
        cache_.save();
    }

private:
    HashCache cache_;
    bool quiet_;
    std::optional<Progress> progress_;
};

Json settings_of(const Campaign & campaign, const CampaignOptions & options, const CampaignPlan & plan,
                 const Run & run) {
    return run_settings(campaign, plan.variants.at(run.variant), run, plan.sha256.at(run.variant), program_version(),
                        options.gpu_backend);
}

// States of all runs, and from them what is to be run.
void look_up_results(const Campaign & campaign, const CampaignOptions & options, CampaignPlan & plan) {
    plan.results.clear();
    plan.to_run.clear();
    for (size_t i = 0; i < plan.runs.size(); ++i) {
        const Run & run = plan.runs[i];
        const Variant & variant = plan.variants.at(run.variant);
        const bool has_file = !plan.sha256.at(run.variant).empty();
        plan.results.push_back(
            has_file ? load_result(result_path(campaign, variant, run), settings_of(campaign, options, plan, run))
                     : StoredResult{ResultState::absent, "not run yet", {}});
        if (plan.results.back().state != ResultState::valid) plan.to_run.push_back(i);
    }
}

CampaignPlan make_plan(const Campaign & campaign, const CampaignOptions & options, const Hooks & hooks,
                       Hasher & hasher) {
    std::vector<InputInfo> inputs;
    for (const CampaignModel & model : campaign.models)
        inputs.push_back(hooks.read_input(model.path));
    CampaignPlan plan;
    plan.variants = plan_variants(campaign, inputs);
    for (size_t i = 0; i < plan.variants.size(); ++i) {
        const Variant & variant = plan.variants[i];
        const bool ready = variant.is_input() || is_up_to_date(variant, hasher.sha256(variant.input));
        if (!ready) plan.to_quantize.push_back(i);
        plan.sha256.push_back(ready ? hasher.sha256(variant.path) : "");
    }
    plan.runs = plan_runs(campaign, plan.variants.size());
    look_up_results(campaign, options, plan);
    return plan;
}

// Results of another machine are kept as they are; new ones must not be mixed in among them.
void check_same_host(const Campaign & campaign, const CampaignPlan & plan) {
    const std::string cpu = host().cpu;
    for (size_t i = 0; i < plan.runs.size() && !plan.to_run.empty(); ++i) {
        if (plan.results[i].state != ResultState::valid) continue;
        const std::string measured_on = plan.results[i].document["host"]["cpu"];
        if (measured_on == cpu) continue;
        const fs::path file = result_path(campaign, plan.variants.at(plan.runs[i].variant), plan.runs[i]);
        fail("{} was measured on another machine ({}; this one is {}): choose another folder with --out", file.string(),
             measured_on, cpu);
    }
}

void check_disk(const Campaign & campaign, const CampaignPlan & plan, const Hooks & hooks) {
    uint64_t needed_bytes = DISK_MARGIN_BYTES;
    for (const size_t i : plan.to_quantize)
        needed_bytes += hooks.quantized_bytes(plan.variants[i].input, plan.variants[i].quantization);
    const uint64_t free_bytes = free_disk_bytes(campaign.out_dir);
    if (needed_bytes > free_bytes) {
        fail("{}: the campaign needs {} of disk, and {} is free: {} too little", campaign.out_dir.string(),
             format_bytes(needed_bytes), format_bytes(free_bytes), format_bytes(needed_bytes - free_bytes));
    }
}

void quantize_missing(const Campaign & campaign, const CampaignOptions & options, const Hooks & hooks, Hasher & hasher,
                      CampaignPlan & plan) {
    for (const size_t i : plan.to_quantize) {
        const Variant & variant = plan.variants[i];
        ensure_writable_dir(variant.path.parent_path());
        remove_stale_part_files(variant.path.parent_path());
        const std::string input_sha256 = hasher.sha256(variant.input);
        Progress progress(fmt::format("{} -> {}", variant.model, variant.quantization), options.quiet);
        engine::QuantizeOptions quantize;
        quantize.input = variant.input;
        quantize.output = variant.path;
        quantize.type = variant.quantization;
        quantize.n_threads = campaign.n_threads;
        hooks.quantize(quantize, [&](uint64_t done, uint64_t total) { progress.update(done, total); });
        write_source_record(variant, input_sha256);
        plan.sha256[i] = hasher.sha256(variant.path);
    }
    hasher.save();
}

// A placement is about VRAM: on a machine where the device is the CPU there is nothing to compare.
void check_device(const Json & result) {
    if (result.contains("error") || result["device"]["kind"] != "cpu") return;
    fail(
        "the runs used the CPU, as no GPU was found or chosen (shimmy gpu-info lists the devices): a campaign compares "
        "VRAM");
}

std::string progress_line(const Json & result, const std::string & what, size_t done, size_t total) {
    std::string line = fmt::format("[{}/{}] {}: ", done, total, what);
    if (result.contains("error")) return line + "failed: " + result["error"]["message"].get<std::string>();
    line += fmt::format("TTFT {:.1f} ms", result["ttft_ms"].get<double>());
    if (result["decode_tps"].is_number())
        line += fmt::format(", decode {:.1f} tokens/s", result["decode_tps"].get<double>());
    return line;
}

Json make_run(const Campaign & campaign, const CampaignOptions & options, const Hooks & hooks,
              const CampaignPlan & plan, const Run & run) {
    std::vector<std::string> command =
        generate_arguments(campaign, plan.variants.at(run.variant), run, options.gpu_backend);
    command.insert(command.begin(), options.program);
    Json record{{"campaign", campaign.name},
                {"settings", settings_of(campaign, options, plan, run)},
                {"started_at", now_utc()}};
    const auto start = std::chrono::steady_clock::now();
    const ProcessResult process = hooks.launch(command, std::chrono::seconds(campaign.timeout_s));
    record["wall_ms"] = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    record["command_line"] = command;
    return make_result(record, process, campaign.timeout_s);
}

void run_missing(const Campaign & campaign, const CampaignOptions & options, const Hooks & hooks,
                 const CampaignPlan & plan) {
    Progress progress(campaign.name, options.quiet);
    for (size_t done = 0; done < plan.to_run.size(); ++done) {
        check_interrupted();
        const Run & run = plan.runs[plan.to_run[done]];
        const Variant & variant = plan.variants.at(run.variant);
        const Json result = make_run(campaign, options, hooks, plan, run);
        check_device(result);
        const fs::path file = result_path(campaign, variant, run);
        fs::create_directories(file.parent_path());
        write_file_atomic(file, result.dump(2) + "\n");
        progress.note(progress_line(result, describe(campaign, variant, run), done + 1, plan.to_run.size()));
        progress.update(done + 1, plan.to_run.size());
    }
}

}  // namespace

CampaignPlan plan_campaign(const Campaign & campaign, const CampaignOptions & options, const Hooks & hooks) {
    Hasher hasher(campaign, options.quiet);
    return make_plan(campaign, options, hooks, hasher);
}

Summary run_campaign(const Campaign & campaign, const CampaignOptions & options, const Hooks & hooks) {
    ensure_writable_dir(campaign.out_dir);
    Hasher hasher(campaign, options.quiet);
    CampaignPlan plan = make_plan(campaign, options, hooks, hasher);
    hasher.save();
    check_same_host(campaign, plan);
    check_disk(campaign, plan, hooks);
    quantize_missing(campaign, options, hooks, hasher, plan);
    look_up_results(campaign, options, plan);
    run_missing(campaign, options, hooks, plan);
    look_up_results(campaign, options, plan);
    Summary summary = summarize_campaign(campaign, plan.variants, plan.sha256, plan.runs, plan.results);
    write_file_atomic(campaign.out_dir / "summary.json", to_json(summary).dump(2) + "\n");
    write_file_atomic(campaign.out_dir / "report.md", markdown_report(summary, options.command));
    return summary;
}

}  // namespace shimmy::lab

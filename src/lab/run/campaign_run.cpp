#include "lab/run/campaign_run.h"

#include "base/error.h"
#include "base/host/host.h"
#include "base/process/interrupt.h"
#include "base/process/progress.h"
#include "base/text/units.h"
#include "lab/measure/summary_json.h"
#include "lab/plan/hasher.h"
#include "lab/plan/plan_file.h"
#include "lab/plan/quantized_models.h"
#include "lab/run/estimate.h"
#include "lab/run/quality_run.h"
#include "lab/run/run_state.h"
#include "library/names.h"

#include <algorithm>
#include <chrono>

namespace shimmy::lab {

namespace {

// Results of another machine are kept as they are; new ones must not be mixed in among them.
void check_same_host(const CampaignPlan & plan) {
    const std::string cpu = host().cpu;
    for (size_t i = 0; i < plan.runs.size(); ++i) {
        if (plan.results[i].state != ResultState::valid) continue;
        const std::string measured_on = plan.results[i].document["host"]["cpu"];
        if (measured_on == cpu) continue;
        fail("{} was measured on another machine ({}; this one is {}): choose another folder with --out",
             plan.result_path_of(i).string(), measured_on, cpu);
    }
}

void check_disk(const CampaignPlan & plan, const std::vector<size_t> & variants, const Hooks & hooks) {
    const fs::path & out_dir = plan.campaign.out_dir;
    uint64_t needed_bytes = DISK_MARGIN_BYTES + scratch_bytes(plan, variants);
    for (const size_t i : variants) {
        try {
            needed_bytes += hooks.variant_bytes(plan.campaign, plan.variants[i]);
        } catch (const Interrupted &) {
            throw;
        } catch (const Error &) {  // a file that cannot be made: said and recorded when it is tried
        }
    }
    const uint64_t free_bytes = free_disk_bytes(out_dir);
    if (needed_bytes > free_bytes) {
        fail("{}: the campaign needs {} of disk, and {} is free: {} too little", out_dir.string(),
             format_bytes(needed_bytes), format_bytes(free_bytes), format_bytes(needed_bytes - free_bytes));
    }
}

void make_variant(CampaignPlan & plan, size_t i, const CampaignOptions & options, const Hooks & hooks,
                  Hasher & hasher) {
    const Variant & variant = plan.variants[i];
    const std::string input_sha256 = hasher.input_sha256(plan.campaign, variant);
    Progress progress(fmt::format("{} -> {}", variant.model, variant.quantization), options.quiet);
    const auto start = std::chrono::steady_clock::now();
    try {
        hooks.make_variant(plan.campaign, variant,
                           [&](uint64_t done, uint64_t total) { progress.update(done, total); });
    } catch (const Interrupted &) {
        throw;
    } catch (const std::exception & error) {
        plan.errors[i] = error.what();
        write_failure_record(variant, input_sha256, error.what());
        progress.note(fmt::format("{} {}: failed: {}", variant.model, variant.quantization, error.what()));
        return;
    }
    const std::chrono::duration<double, std::milli> made_in = std::chrono::steady_clock::now() - start;
    plan.errors[i].clear();
    plan.sha256[i] = hasher.sha256(variant.path);
    write_source_record(variant, input_sha256, plan.sha256[i], made_in.count());
}

// A file that cannot be made is recorded and does not stop the others.
void make_variants(CampaignPlan & plan, const std::vector<size_t> & variants, const CampaignOptions & options,
                   const Hooks & hooks, RunStateFile & state) {
    if (variants.empty()) return;
    const fs::path models = plan.campaign.out_dir / "models";
    ensure_writable_dir(models);
    remove_stale_part_files(models);
    Hasher hasher(plan.campaign, options.quiet);
    for (size_t done = 0; done < variants.size(); ++done) {
        const Variant & variant = plan.variants[variants[done]];
        state.update("quantize", fmt::format("{} {}", variant.model, variant.quantization), done, variants.size());
        make_variant(plan, variants[done], options, hooks, hasher);
        hasher.save();
    }
}

// A GPU that was there when the campaign began, and is gone.
void check_device(const Json & result) {
    if (result.contains("error") || result.contains("task") || result["device"]["kind"] != "cpu") return;
    fail(
        "the runs used the CPU, as no GPU was found or chosen (shimmy gpu-info lists the devices): a campaign compares "
        "VRAM");
}

std::string figures_line(const Json & result) {
    if (result.contains("error")) return "failed: " + result["error"]["message"].get<std::string>();
    if (result.contains("task")) {
        std::string line;
        for (const auto & [name, metric] : result["models"][0]["metrics"].items())
            line += fmt::format("{}{} of {} right ({})", line.empty() ? "" : ", ", metric["n_right"].get<size_t>(),
                                result["models"][0]["n_asked"].get<size_t>(), name);
        return line;
    }
    if (result.contains("load")) {
        const Json & load = result["load"];
        return fmt::format("{:.1f} tokens/s in all, TTFT {:.1f} ms (median)", load["total_tps"].get<double>(),
                           load["ttft_ms"]["p50"].get<double>());
    }
    std::string line = fmt::format("TTFT {:.1f} ms", result["ttft_ms"].get<double>());
    if (result["decode_tps"].is_number())
        line += fmt::format(", decode {:.1f} tokens/s", result["decode_tps"].get<double>());
    return line;
}

// What a kill left of files that were being written.
void remove_unfinished(const fs::path & results) {
    if (!fs::exists(results)) return;
    remove_stale_part_files(results);
    for (const fs::directory_entry & entry : fs::recursive_directory_iterator(results)) {
        if (entry.is_directory()) remove_stale_part_files(entry.path());
    }
}

Summary write_summary(CampaignPlan & plan) {
    look_up_results(plan);
    Summary summary = summarize_campaign(plan);
    write_file_atomic(plan.campaign.out_dir / "summary.json", json_text(to_json(summary)) + "\n");
    return summary;
}

}  // namespace

namespace {

// What the file of the run's model is now, against what the plan says that it is. The file is hashed again only if its
// size or time changed.
std::string changed_model(const CampaignPlan & plan, size_t run) {
    const fs::path & file = plan.variant_of(run).path;
    try {
        Hasher hasher(plan.campaign, /*quiet=*/true);
        const bool same = hasher.sha256(file) == plan.sha256.at(plan.runs.at(run).variant);
        hasher.save();
        return same ? "" : fmt::format("{} is no longer the file that the campaign began with", file.string());
    } catch (const Interrupted &) {
        throw;
    } catch (const Error & error) {
        return error.what();
    }
}

// A result counts for the file that was loaded and no other.
std::string other_model(const CampaignPlan & plan, size_t run, const Json & document) {
    std::string changed = changed_model(plan, run);
    if (!changed.empty() || plan.runs.at(run).mode == Mode::task) return changed;  // a task's document has the hash
    uint64_t n_bytes = 0;
    for (const fs::path & part : library::model_files(plan.variant_of(run).path))
        n_bytes += fs::file_size(part);
    const Json & loaded = document.at("model");
    if (loaded.value("size_bytes", Json()) != n_bytes)
        return fmt::format("a model of {} bytes was loaded in place of {}",
                           json_text(loaded.value("size_bytes", Json()), -1), n_bytes);
    const std::string quantization = file_type(plan.campaign, plan.variant_of(run));
    if (!quantization.empty() && loaded.contains("quantization") && loaded["quantization"] != quantization)
        return fmt::format("{} was loaded in place of {}", json_text(loaded["quantization"], -1), quantization);
    return "";
}

int timeout_of(const CampaignPlan & plan, size_t run) {
    const Run & made = plan.runs.at(run);
    return made.mode == Mode::task ? plan.campaign.tasks.at(made.task).timeout_s : plan.campaign.timeout_s;
}

// What cannot be read as a result stays beside the new one, for people to look at.
void set_aside(const CampaignPlan & plan, size_t run) {
    const fs::path file = plan.result_path_of(run);
    if (load_result(file, plan.settings_of(run)).state != ResultState::invalid) return;
    fs::path aside = file;
    aside += ".bad";
    std::error_code ignored;
    fs::rename(file, aside, ignored);
}

}  // namespace

Json make_run(const CampaignPlan & plan, size_t run, const std::string & program, const Hooks & hooks) {
    std::vector<std::string> command =
        run_arguments(plan.campaign, plan.variant_of(run), plan.runs.at(run), plan.backends);
    command.insert(command.begin(), program);
    Json record{{"campaign", plan.campaign.name}, {"settings", plan.settings_of(run)}, {"started_at", now_utc()}};
    const std::string changed = changed_model(plan, run);
    if (!changed.empty()) {
        const Json result = failed_result(record, changed);
        make_folders(plan.result_path_of(run).parent_path());
        write_file_atomic(plan.result_path_of(run), json_text(result) + "\n");
        return result;
    }
    make_folders(plan.result_path_of(run).parent_path());  // where the run writes its trace
    const auto start = std::chrono::steady_clock::now();
    const int timeout_s = timeout_of(plan, run);
    const ProcessResult process = hooks.launch(command, std::chrono::seconds(timeout_s));
    record["wall_ms"] = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    record["command_line"] = command;
    Json result = make_result(record, process, timeout_s);
    check_device(result);
    if (!result.contains("error")) {
        const std::string other = other_model(plan, run, result);
        if (!other.empty()) result = failed_result(record, other + ": the result is not used");
    }
    const fs::path file = plan.result_path_of(run);
    make_folders(file.parent_path());
    set_aside(plan, run);
    write_file_atomic(file, json_text(result) + "\n");
    return result;
}

Executor local_executor(const CampaignOptions & options, const Hooks & hooks) {
    return [options, hooks](const CampaignPlan & plan, const std::vector<size_t> & runs, RunStateFile & state) {
        Progress progress(plan.campaign.name, options.quiet);
        for (size_t done = 0; done < runs.size(); ++done) {
            check_interrupted();
            const std::string what = plan.describe_run(runs[done]);
            state.update("run", what, done, runs.size());
            progress.update(done, runs.size());
            const Json result = [&] {
                const std::jthread clock = progress.count_down();
                return make_run(plan, runs[done], options.program, hooks);
            }();
            progress.note(fmt::format("[{}/{}] {}: {}", done + 1, runs.size(), what, figures_line(result)));
        }
        progress.update(runs.size(), runs.size());
    };
}

Summary run_campaign(const Campaign & campaign, const CampaignOptions & options, const Hooks & hooks,
                     const Executor & executor) {
    ensure_writable_dir(campaign.out_dir);
    RunStateFile state(campaign.out_dir);
    remove_unfinished(campaign.out_dir / "results");
    CampaignPlan plan = plan_campaign(campaign, options, hooks);
    const std::vector<size_t> variants = variants_to_make(plan, options);
    const std::vector<size_t> to_make = runs_to_make(plan, options);
    const bool has_runs = !to_make.empty();
    // Scores need no GPU.
    const bool compares_vram =
        std::any_of(to_make.begin(), to_make.end(), [&](size_t run) { return plan.runs[run].mode != Mode::task; });
    if (compares_vram && hooks.check_device) hooks.check_device(plan.campaign);
    if (has_runs) check_same_host(plan);
    check_disk(plan, variants, hooks);
    write_plan(plan);
    make_variants(plan, variants, options, hooks, state);
    write_plan(plan);
    look_up_results(plan);
    executor(plan, runs_to_make(plan, options), state);
    if (options.only.empty()) measure_qualities(plan, options, hooks, state);
    return write_summary(plan);
}

}  // namespace shimmy::lab

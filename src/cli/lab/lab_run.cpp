// shimmy lab run: makes the runs of a campaign that are missing.
#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/process/subprocess.h"
#include "base/text/text.h"
#include "base/text/units.h"
#include "cli/lab/lab_commands.h"
#include "cli/placement_options.h"
#include "cli/templates_option.h"
#include "engine/load/placement.h"
#include "lab/measure/summary_json.h"
#include "lab/run/campaign_run.h"
#include "lab/run/estimate.h"
#include "lab/run/predicted_cards.h"
#include "lab/run/predicted_vram.h"
#include "lab/run/quality_run.h"
#include "lab/run/real_hooks.h"
#include "lab/run/slurm.h"
#include "report/documents/documents.h"
#include "report/documents/licenses.h"
#include "report/documents/text_report.h"
#include "report/text/table.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>

namespace shimmy::cli {

namespace {

constexpr size_t MAX_OBSTACLE_CHARS = 400;
constexpr double LEAST_WORTH_PARTS_S = 300.0;  // of an estimate: its parts are shown in whole minutes

struct RunArguments {
    LabCampaign campaign;
    std::string templates;  // folder
    std::string only;
    bool retry_failed = false;
    bool dry_run = false;
    std::string executor = "local";
    std::vector<std::string> sbatch_args;
};

const char * state_word(lab::ResultState state, bool to_make) {
    switch (state) {
        case lab::ResultState::absent:
            return to_make ? "to do" : "not chosen";
        case lab::ResultState::invalid:
            return to_make ? "to do again (not a whole result)" : "not a whole result";
        case lab::ResultState::stale:
            return to_make ? "to do again (other settings or model file)" : "of other settings or another model file";
        case lab::ResultState::failed:
            return to_make ? "to do again (failed)" : "failed (--retry-failed makes it again)";
        case lab::ResultState::valid:
            return "done";
    }
    return "";
}

// What there is to do, in words and numbers.
struct DryRun {
    lab::CampaignPlan plan;
    std::vector<size_t> variants;
    std::vector<size_t> runs;
    std::vector<size_t> qualities;  // files whose quality is to be measured
    lab::Estimate estimate;
    std::vector<lab::PredictedVram> vram;

    bool is_to_do(size_t run) const { return std::find(runs.begin(), runs.end(), run) != runs.end(); }
    const char * state(size_t run) const { return state_word(plan.results[run].state, is_to_do(run)); }
};

DryRun plan_dry_run(const lab::Campaign & campaign, const lab::CampaignOptions & options) {
    const lab::Hooks hooks = lab::real_hooks(options.backends);
    DryRun dry{lab::plan_campaign(campaign, options, hooks), {}, {}, {}, {}, {}};
    dry.variants = lab::variants_to_make(dry.plan, options);
    dry.runs = lab::runs_to_make(dry.plan, options);
    if (options.only.empty()) dry.qualities = lab::qualities_to_come(dry.plan, dry.variants);
    dry.estimate = lab::estimate(dry.plan, dry.variants, dry.runs, dry.qualities, hooks);
    dry.vram = lab::predict_vram(dry.plan);
    return dry;
}

Json dry_run_document(const DryRun & dry) {
    const lab::CampaignPlan & plan = dry.plan;
    Json quantize = Json::array();
    for (const size_t i : dry.variants)
        quantize.push_back({{"input", plan.variants[i].input.string()}, {"output", plan.variants[i].path.string()}});
    Json runs = Json::array();
    for (size_t i = 0; i < plan.runs.size(); ++i) {
        runs.push_back(
            {{"run", plan.describe_run(i)}, {"file", plan.result_path_of(i).string()}, {"state", dry.state(i)}});
    }
    Json vram = Json::array();
    for (const lab::PredictedVram & file : dry.vram) {
        Json by_placement = Json::object();
        for (size_t i = 0; i < file.vram_bytes.size(); ++i)
            by_placement[engine::to_string(plan.campaign.placements[i])] = file.vram_bytes[i];
        vram.push_back({{"model", file.model},
                        {"quantization", file.quantization},
                        {"vram_bytes", by_placement},
                        {"error", file.reason.empty() ? Json(nullptr) : Json(file.reason)}});
    }
    return {{"campaign", plan.campaign.name},
            {"out_dir", plan.campaign.out_dir.string()},
            {"quantize", quantize},
            {"predicted_vram", vram},
            {"runs", runs},
            {"n_runs_to_do", dry.runs.size()},
            {"estimate",
             {{"time_ms", dry.estimate.time_s() * 1000.0},
              {"files_ms", dry.estimate.files.time_s * 1000.0},
              {"runs_ms", dry.estimate.runs.time_s * 1000.0},
              {"quality_ms", dry.estimate.quality.time_s * 1000.0},
              {"disk_bytes", dry.estimate.disk_bytes},
              {"scratch_bytes", dry.estimate.scratch_bytes},
              {"n_files_from_measured_times", dry.estimate.files.n_measured},
              {"n_files_predicted", dry.estimate.files.n_predicted},
              {"n_runs_from_measured_times", dry.estimate.runs.n_measured},
              {"n_runs_predicted", dry.estimate.runs.n_predicted},
              {"n_qualities_from_measured_times", dry.estimate.quality.n_measured},
              {"n_qualities_predicted", dry.estimate.quality.n_predicted},
              {"assumptions", lab::estimate_assumptions(plan.campaign)},
              {"leaves_out", lab::estimate_leaves_out()}}}};
}

std::string format_duration(double seconds) {
    const auto minutes = static_cast<long>(std::ceil(seconds / 60.0));
    return minutes < 60 ? fmt::format("{} min", minutes) : fmt::format("{} h {:02} min", minutes / 60, minutes % 60);
}

// "baseline, offload"
template <typename T, typename Name>
std::string names(const std::vector<T> & items, Name name) {
    std::string text;
    for (const T & item : items)
        text += (text.empty() ? "" : ", ") + std::string(name(item));
    return text;
}

// What every model file is measured in.
std::string matrix_text(const lab::Campaign & campaign) {
    std::string text = fmt::format(
        "placements  {}\nmodes       {}\nprompts     {}\nrepeats     {}\n",
        names(campaign.placements, [](engine::Placement placement) { return engine::to_string(placement); }),
        names(campaign.modes, [](lab::Mode mode) { return lab::to_string(mode); }),
        names(campaign.prompts, [](const lab::Prompt & prompt) { return prompt.id; }), campaign.repeats);
    for (const lab::Axis & axis : campaign.axes.list)
        text += fmt::format("{:<11} {}{}\n", axis.key, fmt::join(axis.values, ", "), axis.is_listed ? "" : " (fixed)");
    if (!campaign.axes.varied().empty())
        text += fmt::format("design      {}: {} combination(s)\n", lab::to_string(campaign.axes.design),
                            lab::design_points(campaign.axes).size());
    if (!campaign.load.clients.empty())
        text += fmt::format("load        {} clients, {} s each, {} repeat(s)\n", fmt::join(campaign.load.clients, ", "),
                            campaign.load.duration_s, campaign.load.repeats);
    for (const lab::CampaignTask & task : campaign.tasks)
        text += fmt::format("task        {}: {} questions (form {})\n", task.id, task.n_questions, task.form);
    return text + (campaign.quality.text.empty()
                       ? "quality     not measured: the campaign has no [quality]\n"
                       : fmt::format("quality     on {}, at the end\n", campaign.quality.text.string()));
}

// A line per model file.
report::Table runs_table(const DryRun & dry) {
    using Align = report::Table::Align;
    const lab::CampaignPlan & plan = dry.plan;
    report::Table table;
    table.columns = {{"model", Align::left},
                     {"type", Align::left},
                     {"file", Align::left},
                     {"runs"},
                     {"done"},
                     {"failed"},
                     {"to do"}};
    for (size_t variant = 0; variant < plan.variants.size(); ++variant) {
        std::array<size_t, 4> counts{};  // runs, done, failed, to do
        for (size_t i = 0; i < plan.runs.size(); ++i) {
            if (plan.runs[i].variant != variant) continue;
            const lab::ResultState state = plan.results[i].state;
            counts[0] += 1;
            counts[1] += state == lab::ResultState::valid ? 1 : 0;
            counts[2] += state == lab::ResultState::failed ? 1 : 0;
            counts[3] += dry.is_to_do(i) ? 1 : 0;
        }
        const bool to_make = std::find(dry.variants.begin(), dry.variants.end(), variant) != dry.variants.end();
        const char * file = to_make                         ? "to make"
                            : !plan.sha256[variant].empty() ? "there"
                            : plan.errors[variant].empty()  ? "not chosen"
                                                            : "failed";
        table.rows.push_back({plan.variants[variant].model, plan.variants[variant].quantization, file,
                              fmt::format("{}", counts[0]), fmt::format("{}", counts[1]), fmt::format("{}", counts[2]),
                              fmt::format("{}", counts[3])});
    }
    return table;
}

// A line per model file, a column per placement.
report::Table vram_table(const DryRun & dry) {
    using Align = report::Table::Align;
    report::Table table;
    table.columns = {{"model", Align::left}, {"type", Align::left}};
    for (const engine::Placement placement : dry.plan.campaign.placements)
        table.columns.push_back({"VRAM\n" + engine::to_string(placement)});
    for (const lab::PredictedVram & file : dry.vram) {
        std::vector<std::string> line{file.model, file.quantization};
        for (size_t i = 0; i < dry.plan.campaign.placements.size(); ++i)
            line.push_back(file.vram_bytes.empty() ? "-" : format_bytes(file.vram_bytes[i]));
        table.rows.push_back(std::move(line));
    }
    return table;
}

// "2 files, 12 runs"
std::string counts(size_t n_files, size_t n_runs, size_t n_qualities) {
    std::vector<std::string> parts;
    if (n_files > 0) parts.push_back(fmt::format("{} file(s)", n_files));
    if (n_runs > 0) parts.push_back(fmt::format("{} run(s)", n_runs));
    if (n_qualities > 0) parts.push_back(fmt::format("the quality of {} file(s)", n_qualities));
    return fmt::format("{}", fmt::join(parts, ", "));
}

std::string estimate_text(const DryRun & dry) {
    const lab::Estimate & estimate = dry.estimate;
    std::string text = fmt::format("disk: {} more", format_bytes(estimate.disk_bytes));
    if (estimate.scratch_bytes > 0)
        text += fmt::format(", and {} while types are searched", format_bytes(estimate.scratch_bytes));
    text += fmt::format("\ntime: about {}", format_duration(estimate.time_s()));
    std::vector<std::string> parts;
    for (const auto & [what, time_s] : {std::pair{"files", estimate.files.time_s},
                                        {"runs", estimate.runs.time_s},
                                        {"quality", estimate.quality.time_s}}) {
        if (time_s > 0.0) parts.push_back(fmt::format("{} {}", what, format_duration(time_s)));
    }
    if (estimate.time_s() > LEAST_WORTH_PARTS_S && parts.size() > 1)
        text += fmt::format(" ({})", fmt::join(parts, ", "));
    const std::string predicted =
        counts(estimate.files.n_predicted, estimate.runs.n_predicted, estimate.quality.n_predicted);
    const std::string measured =
        counts(estimate.files.n_measured, estimate.runs.n_measured, estimate.quality.n_measured);
    if (!predicted.empty())
        text += fmt::format("\npredicted for {} as if {}", predicted, lab::estimate_assumptions(dry.plan.campaign));
    if (!measured.empty()) text += fmt::format("\nfrom measured times for {}", measured);
    return text + fmt::format("\nnot counted: {}\n", lab::estimate_leaves_out());
}

void print_dry_run(const DryRun & dry, bool every_run) {
    const lab::CampaignPlan & plan = dry.plan;
    fmt::print("campaign {} into {}\n\n{}\n{}\n", plan.campaign.name, plan.campaign.out_dir.string(),
               matrix_text(plan.campaign), runs_table(dry).text());
    fmt::print("VRAM as predicted for a CUDA card, at a context of {} tokens, without the driver's own:\n\n{}\n",
               plan.campaign.n_ctx, vram_table(dry).text());
    for (const lab::PredictedVram & file : dry.vram) {
        if (!file.reason.empty())
            fmt::print("{} {}: {}\n", file.model, file.quantization, printable(file.reason, MAX_OBSTACLE_CHARS));
    }
    for (size_t i = 0; every_run && i < plan.runs.size(); ++i)
        fmt::print("{}: {}\n", plan.describe_run(i), dry.state(i));
    fmt::print("{} file(s) to make, {} of {} runs to do{}", dry.variants.size(), dry.runs.size(), plan.runs.size(),
               every_run ? "" : " (-v lists them)");
    if (!dry.qualities.empty()) fmt::print(", quality of {} file(s) to measure", dry.qualities.size());
    fmt::print("\n{}", estimate_text(dry));
}

// An option would hold for every run, an axis varies.
void refuse_axes_as_options(const lab::Campaign & campaign, const Globals & globals) {
    const auto refuse = [&](const char * option, const char * key, bool given) {
        if (given && campaign.axes.find(key) != nullptr)
            fail_usage("{}: the campaign says it itself, as {} under [axes]", option, key);
    };
    refuse("--moe-backend", "moe_backend", globals.moe_backend != "auto");
    refuse("--moe-cache", "moe_cache", globals.moe_cache != "auto");
    require_moe_backend_for_cache(globals);
    if (globals.moe_backend == "off" && campaign.axes.find("moe_cache") != nullptr)
        fail_usage("--moe-backend off: moe_cache under [axes] needs libggml-moe");
}

// A license that no card can be published under is told before the hours of measuring. None at all is no mistake: not
// every campaign is published.
bool check_licenses(const lab::Campaign & campaign) {
    bool hold = true;
    for (const lab::CampaignModel & model : campaign.models) {
        const std::string obstacle = model.license.empty() ? "" : report::license_obstacle(model);
        if (obstacle.empty()) continue;
        hold = false;
        fmt::print(stderr, "shimmy: warning: {}: {}; its card will not be written\n", printable(model.name),
                   printable(obstacle, MAX_OBSTACLE_CHARS));
    }
    return hold;
}

int run_lab(const RunArguments & options, const Globals & globals) {
    const report::Templates templates(options.templates);  // a mistake in it is told before the runs
    refuse_placement_options(globals);
    const lab::Campaign campaign = options.campaign.read();
    refuse_axes_as_options(campaign, globals);
    lab::CampaignOptions run_options;
    run_options.program = self_path();
    run_options.backends = {globals.gpu_backend, globals.moe_backend,
                            globals.moe_cache == "auto" ? "off" : globals.moe_cache};
    run_options.command = options.campaign.command("run");
    run_options.quiet = globals.json;
    run_options.only = options.only;
    run_options.retry_failed = options.retry_failed;
    run_options.dry_run = options.dry_run;

    if (options.dry_run) {
        const DryRun dry = plan_dry_run(campaign, run_options);
        if (globals.json) {
            fmt::print("{}\n", json_text(dry_run_document(dry)));
        } else {
            print_dry_run(dry, globals.verbosity > 0);
        }
        return 0;
    }
    const bool licenses_hold = check_licenses(campaign);
    const bool elsewhere = options.executor == "slurm";
    const lab::Hooks hooks = elsewhere ? lab::real_hooks(run_options.backends) : lab::real_hooks_here(run_options);
    const lab::Executor executor =
        elsewhere ? lab::slurm_executor(run_options, {options.sbatch_args}) : lab::local_executor(run_options, hooks);
    const lab::Summary summary = lab::run_campaign(campaign, run_options, hooks, executor);
    lab::predict_cards(summary, globals.json);
    const std::string rerun = lab::rerun_command(summary, run_options.command);
    const report::Documents documents =
        report::write_documents(summary, campaign.out_dir, options.campaign.file, rerun, templates);
    if (globals.json) {
        fmt::print("{}\n", json_text(lab::to_json(summary)));
    } else {
        fmt::print("{}\n{}", report::text_report(summary, rerun), report::describe(documents, campaign.out_dir));
    }
    return summary.complete() && licenses_hold ? 0 : EXIT_CODE_FAILED;
}

}  // namespace

void add_lab_run(Commands & commands, CLI::App * lab) {
    auto options = std::make_shared<RunArguments>();
    CLI::App * run = commands.add(
        "run", "run a campaign: quantize, measure every combination, print the table",
        [options, &commands] { return run_lab(*options, commands.globals()); }, lab);
    add_campaign_options(*run, options->campaign);
    add_templates_option(*run, options->templates);
    add_gpu_backend_option(*run, commands.globals());
    add_moe_backend_option(*run, commands.globals());
    add_moe_cache_option(*run, commands.globals());
    add_refused_placement_options(*run, commands.globals());
    run->add_option("--device", options->campaign.device, "device of every run, instead of the campaign's")
        ->type_name("NAME");
    run->add_option("--only", options->only,
                    "make only runs whose <model>/<type>/<placement>/<mode>/<prompt>-<repeat> holds this shell pattern")
        ->type_name("PATTERN");
    run->add_flag("--retry-failed", options->retry_failed,
                  "repeat runs and files that failed; they stay failed otherwise");
    run->add_option("--executor", options->executor,
                    "where the runs are made: one after the other here, or as one Slurm job array")
        ->check(CLI::IsMember({"local", "slurm"}))
        ->capture_default_str();
    run->add_option("--sbatch-arg", options->sbatch_args,
                    "passed on to sbatch, as in --sbatch-arg=--gres=gpu:1; may be given several times")
        ->type_name("ARG")
        ->allow_extra_args(false);
    run->add_flag("--dry-run", options->dry_run,
                  "show what would be done, with time and disk (-v: every run), and do nothing");
    run->footer(
        "You can stop or kill it at any time: the same command continues where it was. Finished runs are not repeated "
        "as long as the campaign's settings, the model files and the program are the same. A run that fails or takes "
        "longer than the campaign's timeout_s is recorded with its reason and does not stop the others. Exit codes: 0 "
        "every figure is there; 1 runs failed or are missing, and what depends on them is left out of the table, or a "
        "model's license lets no card be written.");
}

}  // namespace shimmy::cli

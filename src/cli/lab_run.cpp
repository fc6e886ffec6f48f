// shimmy lab run: makes the runs of a campaign that are missing.
#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/subprocess.h"
#include "base/units.h"
#include "cli/lab_commands.h"
#include "lab/campaign_run.h"
#include "lab/report.h"

#include <memory>

namespace shimmy::cli {

namespace {

constexpr int EXIT_CODE_FAILED = 1;

struct Options {
    LabCampaign campaign;
    bool dry_run = false;
};

const char * state_word(lab::ResultState state) {
    switch (state) {
        case lab::ResultState::absent:
            return "to do";
        case lab::ResultState::invalid:
            return "to do again (not a whole result)";
        case lab::ResultState::stale:
            return "to do again (other settings or model file)";
        case lab::ResultState::failed:
            return "to do again (failed)";
        case lab::ResultState::valid:
            return "done";
    }
    return "";
}

Json plan_document(const lab::Campaign & campaign, const lab::CampaignPlan & plan) {
    Json quantize = Json::array();
    for (const size_t i : plan.to_quantize) {
        quantize.push_back({{"input", plan.variants[i].input.string()}, {"output", plan.variants[i].path.string()}});
    }
    Json runs = Json::array();
    for (size_t i = 0; i < plan.runs.size(); ++i) {
        const lab::Variant & variant = plan.variants[plan.runs[i].variant];
        runs.push_back({{"run", lab::describe(campaign, variant, plan.runs[i])},
                        {"file", lab::result_path(campaign, variant, plan.runs[i]).string()},
                        {"state", state_word(plan.results[i].state)}});
    }
    return {
        {"campaign", campaign.name}, {"out_dir", campaign.out_dir.string()}, {"quantize", quantize}, {"runs", runs}};
}

void print_plan(const lab::Campaign & campaign, const lab::CampaignPlan & plan) {
    fmt::print("campaign {} into {}\n", campaign.name, campaign.out_dir.string());
    for (const size_t i : plan.to_quantize)
        fmt::print("quantize {}\n", plan.variants[i].path.string());
    for (size_t i = 0; i < plan.runs.size(); ++i) {
        const lab::Run & run = plan.runs[i];
        fmt::print("{}: {}\n", lab::describe(campaign, plan.variants[run.variant], run),
                   state_word(plan.results[i].state));
    }
    fmt::print("{} file(s) to quantize, {} of {} runs to do\n", plan.to_quantize.size(), plan.to_run.size(),
               plan.runs.size());
}

int run_lab(const Options & options, const Globals & globals) {
    if (globals.cpu_moe || globals.n_cpu_moe) {
        fail_usage("a campaign names its placements itself (placements = [...]): leave out --cpu-moe and --n-cpu-moe");
    }
    const lab::Campaign campaign = options.campaign.read();
    const lab::CampaignOptions run_options{self_path(), globals.gpu_backend, options.campaign.command("run"),
                                           globals.json};

    if (options.dry_run) {
        const lab::CampaignPlan plan = lab::plan_campaign(campaign, run_options, lab::real_hooks());
        if (globals.json) {
            fmt::print("{}\n", plan_document(campaign, plan).dump(2));
        } else {
            print_plan(campaign, plan);
        }
        return 0;
    }
    const lab::Summary summary = lab::run_campaign(campaign, run_options, lab::real_hooks());
    if (globals.json) {
        fmt::print("{}\n", lab::to_json(summary).dump(2));
    } else {
        fmt::print("{}\nReport: {}\nRaw results: {}\n", lab::text_report(summary, run_options.command),
                   (campaign.out_dir / "report.md").string(), (campaign.out_dir / "results").string());
    }
    return summary.complete() ? 0 : EXIT_CODE_FAILED;
}

}  // namespace

void add_lab_run(Commands & commands, CLI::App * lab) {
    auto options = std::make_shared<Options>();
    CLI::App * run = commands.add(
        "run", "run a campaign: quantize, measure every combination, print the table",
        [options, &commands] { return run_lab(*options, commands.globals()); }, lab);
    add_campaign_options(*run, options->campaign);
    run->add_option("--device", options->campaign.device, "device of every run, instead of the campaign's")
        ->type_name("NAME");
    run->add_flag("--dry-run", options->dry_run, "say what would be done, and do nothing");
    run->footer(
        "Runs that are finished are not repeated, as long as the campaign's settings, the model files and the program "
        "are the same. Exit codes: 0 every figure is there; 1 runs failed, and what depends on them is left out of the "
        "table.");
}

}  // namespace shimmy::cli

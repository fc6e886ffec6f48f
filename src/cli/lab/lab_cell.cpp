// shimmy lab cell: one run of a planned campaign, as a cluster's job array calls it.
#include "base/error.h"
#include "base/process/subprocess.h"
#include "cli/lab/lab_commands.h"
#include "lab/plan/plan_file.h"
#include "lab/run/campaign_run.h"
#include "lab/run/real_hooks.h"

#include <memory>

namespace shimmy::cli {

namespace {

struct CellArguments {
    std::string out_dir;
    size_t run = 0;
};

int run_cell(const CellArguments & options, const Globals & globals) {
    const lab::CampaignPlan plan = lab::read_plan(options.out_dir);
    if (options.run >= plan.runs.size())
        fail_usage("{}: the campaign has the runs 0 to {}", options.run, plan.runs.size() - 1);
    if (plan.sha256.at(plan.runs[options.run].variant).empty())
        fail("{}: its model file is not there: shimmy lab run makes it", plan.describe_run(options.run));
    const Json result = lab::make_run(plan, options.run, self_path(), lab::real_hooks(plan.backends));
    const bool failed = result.contains("error");
    if (globals.json) {
        fmt::print("{}\n", json_text(result));
    } else {
        fmt::print("{}: {}\n", plan.describe_run(options.run),
                   failed ? "failed: " + result["error"]["message"].get<std::string>() : "done");
    }
    return failed ? EXIT_CODE_FAILED : 0;
}

}  // namespace

void add_lab_cell(Commands & commands, CLI::App * lab) {
    auto options = std::make_shared<CellArguments>();
    CLI::App * cell = commands.add(
        "cell", "make one run of a planned campaign (called by the tasks of --executor slurm)",
        [options, &commands] { return run_cell(*options, commands.globals()); }, lab);
    cell->add_option("folder", options->out_dir, "folder of the campaign, which holds campaign.json")
        ->type_name("DIR")
        ->required();
    cell->add_option("run", options->run, "number of the run, from 0")->type_name("N")->required();
}

}  // namespace shimmy::cli

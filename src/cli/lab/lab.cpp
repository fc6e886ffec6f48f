// shimmy lab: measuring campaigns. One file per subcommand; what they share is here.
#include "cli/lab/lab_commands.h"

#include "base/error.h"

namespace shimmy::cli {

lab::Campaign LabCampaign::read() const {
    lab::Campaign campaign = lab::read_campaign(file);
    // Absolute, as the campaign's own: its files and documents name paths that hold from any folder.
    if (!out_dir.empty()) campaign.out_dir = fs::absolute(out_dir).lexically_normal();
    if (!device.empty()) campaign.device = device;
    return campaign;
}

std::string LabCampaign::command(const std::string & subcommand) const {
    std::string command = "shimmy lab " + subcommand + " " + file;
    if (!out_dir.empty()) command += " --out " + out_dir;
    if (!device.empty()) command += " --device " + device;
    return command;
}

void add_campaign_options(CLI::App & command, LabCampaign & campaign) {
    command.add_option("campaign", campaign.file, "campaign file")->type_name("CAMPAIGN.toml")->required();
    command
        .add_option("--out", campaign.out_dir,
                    "folder for models, results and documents (default: out_dir of the campaign)")
        ->type_name("DIR");
}

void refuse_placement_options(const Globals & globals) {
    if (!globals.cpu_moe && !globals.n_cpu_moe && !globals.placement) return;
    fail_usage(
        "a campaign names its placements itself (placements = [...]): leave out --placement, --cpu-moe and --n-cpu-moe");
}

void add_lab(Commands & commands) {
    CLI::App * lab = commands.add_group("lab", "measure models, quantizations and placements against each other");
    add_lab_init(commands, lab);
    add_lab_run(commands, lab);
    add_lab_report(commands, lab);
    add_lab_status(commands, lab);
    add_lab_compare(commands, lab);
    add_lab_bundle(commands, lab);
    add_lab_verify(commands, lab);
    add_lab_import(commands, lab);
    add_lab_export(commands, lab);
    add_lab_http(commands, lab);
    add_lab_cell(commands, lab);
}

}  // namespace shimmy::cli

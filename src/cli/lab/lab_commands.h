// The subcommands of `shimmy lab`, and the options they share.
#pragma once

#include "cli/command.h"
#include "lab/campaign/campaign.h"

#include <string>

namespace shimmy::cli {

// Which campaign, and where its results lie.
struct LabCampaign {
    std::string file;
    std::string out_dir;  // in place of the campaign's
    std::string device;   // in place of the campaign's; only `lab run` takes it

    lab::Campaign read() const;

    // What the user would type to run another subcommand on it.
    std::string command(const std::string & subcommand) const;
};

// CAMPAIGN.toml and --out.
void add_campaign_options(CLI::App & command, LabCampaign & campaign);

// A campaign names its placements itself. Throws UsageError.
void refuse_placement_options(const Globals & globals);

void add_lab_bundle(Commands & commands, CLI::App * lab);
void add_lab_verify(Commands & commands, CLI::App * lab);
void add_lab_import(Commands & commands, CLI::App * lab);
void add_lab_export(Commands & commands, CLI::App * lab);
void add_lab_compare(Commands & commands, CLI::App * lab);
void add_lab_status(Commands & commands, CLI::App * lab);
void add_lab_cell(Commands & commands, CLI::App * lab);
void add_lab_http(Commands & commands, CLI::App * lab);
void add_lab_init(Commands & commands, CLI::App * lab);
void add_lab_run(Commands & commands, CLI::App * lab);
void add_lab_report(Commands & commands, CLI::App * lab);

}  // namespace shimmy::cli

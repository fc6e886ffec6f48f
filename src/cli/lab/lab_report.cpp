// shimmy lab report: the documents of a campaign, from its result files alone.
#include "base/json.h"
#include "cli/lab/lab_commands.h"
#include "cli/templates_option.h"
#include "lab/measure/summary.h"
#include "lab/plan/campaign_plan.h"
#include "lab/plan/plan_file.h"
#include "report/documents/documents.h"

#include <fmt/format.h>

#include <memory>

namespace shimmy::cli {

namespace {

int run_lab_report(const LabCampaign & options, const std::string & templates_dir, const Globals & globals) {
    const report::Templates templates(templates_dir);
    const lab::Campaign campaign = options.read();
    lab::CampaignPlan plan = lab::read_plan(campaign.out_dir);
    lab::take_document_keys(plan, campaign);
    const lab::Summary summary = lab::summarize_campaign(plan);
    const report::Documents documents = report::write_documents(
        summary, campaign.out_dir, options.file, lab::rerun_command(summary, options.command("run")), templates);
    if (globals.json) {
        Json written = Json::array();
        for (const fs::path & file : documents.written)
            written.push_back(file.string());
        fmt::print("{}\n", json_text(Json{{"written", written}, {"refused", documents.refused}}));
    } else {
        for (const fs::path & file : documents.written)
            fmt::print("{}\n", file.string());
    }
    for (const std::string & reason : documents.refused)
        fmt::print(stderr, "shimmy: {}\n", reason);
    return documents.refused.empty() ? 0 : EXIT_CODE_FAILED;
}

}  // namespace

void add_lab_report(Commands & commands, CLI::App * lab) {
    auto options = std::make_shared<LabCampaign>();
    auto templates = std::make_shared<std::string>();
    CLI::App * command = commands.add(
        "report", "regenerate a campaign's documents from its result files: tables, charts, white paper, model cards",
        [options, templates, &commands] { return run_lab_report(*options, *templates, commands.globals()); }, lab);
    add_campaign_options(*command, *options);
    add_templates_option(*command, *templates);
    command->footer(
        "Writes summary.json, results.csv, report.md, report.html, whitepaper.md, checklist.md and cards/ into the "
        "campaign's folder; the same results give the same bytes. Exit codes: 0 all written; 1 a document was refused "
        "because figures are missing, and the reason names the run to do.");
}

}  // namespace shimmy::cli

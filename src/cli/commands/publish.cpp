// shimmy publish: a campaign's models, with their cards, to the Hugging Face Hub.
#include "base/error.h"
#include "base/files.h"
#include "base/process/interrupt.h"
#include "base/text/units.h"
#include "cli/command.h"
#include "cli/print/publish_text.h"
#include "cli/templates_option.h"
#include "engine/layout/quantization.h"
#include "publish/publishing.h"

#include <poll.h>
#include <unistd.h>
#include <cstdio>
#include <iostream>
#include <memory>

namespace shimmy::cli {

namespace {

// The Hub's own client does not download larger files over plain HTTP.
constexpr const char * DEFAULT_MAX_FILE_SIZE = "50GB";

struct PublishArguments {
    std::string campaign;  // file or folder
    std::string out_dir;
    std::string repo;
    std::string model;
    std::vector<std::string> quantizations;
    std::string layout;
    std::string max_file_size = DEFAULT_MAX_FILE_SIZE;
    publish::PublishOptions publish;
    std::string templates;  // folder
    bool dry_run = false;
    bool yes = false;
};

publish::PlanOptions plan_options(const PublishArguments & options, const std::string & rerun_command,
                                  const lab::Campaign & campaign, bool quiet) {
    publish::PlanOptions plan;
    const size_t slash = options.repo.find('/');
    plan.owner = options.repo.empty() ? campaign.repo_owner : options.repo.substr(0, slash);
    if (plan.owner.empty()) fail_usage("where to? Give --repo USER/NAME, or repo_owner = \"…\" in the campaign");
    if (slash != std::string::npos) {
        hub::check_repo_id(options.repo, "--repo");
        plan.name = options.repo.substr(slash + 1);
    }
    plan.model = options.model;
    for (const std::string & type : options.quantizations)
        plan.quantizations.push_back(engine::canonical_quantization(type));
    if (!options.layout.empty())
        plan.layout = options.layout == "per-model" ? lab::CardLayout::per_model : lab::CardLayout::per_quant;
    plan.max_file_bytes = parse_bytes(options.max_file_size, "--max-file-size");
    if (plan.max_file_bytes == 0) fail_usage("--max-file-size: must be above 0");
    plan.rerun_command = rerun_command;
    plan.templates = report::Templates(options.templates);
    plan.quiet = quiet;
    return plan;
}

// Until there is a line, or the end, on standard input. A read alone would sleep through a Ctrl-C that comes just
// before it.
void wait_for_answer() {
    pollfd input{STDIN_FILENO, POLLIN, 0};
    while (::poll(&input, 1, 100) <= 0)
        check_interrupted();
}

// On stderr, so that it is seen where the output goes into a file. No answer is no.
bool confirmed(const std::string & question) {
    if (isatty(STDIN_FILENO) != 1)
        fail_usage("there is no terminal to ask on: add --yes to publish, or --dry-run to see what would be done");
    std::fflush(stdout);
    fmt::print(stderr, "{} [y/N] ", question);
    wait_for_answer();
    std::string answer;
    const bool answered = static_cast<bool>(std::getline(std::cin, answer));
    check_interrupted();
    if (!answered) fmt::print(stderr, "\n");
    return answer == "y" || answer == "Y" || answer == "yes";
}

int refuse(const std::vector<std::string> & obstacles, bool json) {
    if (json) fmt::print("{}\n", json_text(Json{{"published", false}, {"obstacles", obstacles}}));
    for (const std::string & obstacle : obstacles)
        fmt::print(stderr, "shimmy: not fit to be published: {}\n", obstacle);
    return EXIT_CODE_FAILED;
}

// What would be done. False if the person who was asked does not want it.
bool agreed(const publish::Proposals & proposals, const PublishArguments & options, bool json) {
    const std::string text = proposal_text(proposals, options.publish);
    const bool asks = !proposals.is_empty() && !options.yes;
    if (!json) fmt::print("{}", text);
    if (json && asks) fmt::print(stderr, "{}", text);
    return !asks || confirmed("Publish this?");
}

int show_dry_run(const publish::Proposals & proposals, const PublishArguments & options, bool json) {
    if (json) {
        fmt::print("{}\n", json_text(proposal_document(proposals)));
    } else {
        fmt::print(
            "{}Dry run: nothing was sent. All cards are complete; the Hub checks them before anything is created.\n",
            proposal_text(proposals, options.publish));
    }
    return 0;
}

int run_publish(const PublishArguments & options, const Globals & globals) {
    const publish::CampaignSource source = publish::find_campaign(options.campaign, options.out_dir);
    const lab::CampaignPlan campaign = publish::read_campaign_plan(source);
    const publish::PlanOptions plan = plan_options(options, source.rerun_command, campaign.campaign, globals.json);
    publish::Publishing publishing(source, campaign, plan, options.publish);
    const publish::Proposals proposals = publishing.propose(options.dry_run);
    if (!proposals.plan.obstacles.empty()) return refuse(proposals.plan.obstacles, globals.json);
    if (options.dry_run) return show_dry_run(proposals, options, globals.json);
    if (!agreed(proposals, options, globals.json)) {
        fmt::print("{}\n", globals.json ? json_text(Json{{"published", false}, {"obstacles", {"the answer was no"}}})
                                        : "Nothing was published.");
        return EXIT_CODE_FAILED;
    }
    const auto published =
        publishing.publish(proposals, [&](const publish::Proposal & proposal, const publish::Outcome & outcome) {
            if (!globals.json) fmt::print("{}", outcome_text(proposal, outcome, proposals.endpoint));
        });
    Json records = Json::array();
    bool verified = true;
    for (const auto & [record, outcome] : published) {
        records.push_back(record);
        records.back()["changed"] = outcome.is_new;
        records.back()["sent_bytes"] = outcome.sent_bytes;
        verified = verified && outcome.verified();
    }
    if (globals.json) fmt::print("{}\n", json_text(Json{{"published", true}, {"repositories", records}}));
    if (!verified)
        fmt::print(stderr, "shimmy: what the Hub shows is not what was published: see the checks in {}\n",
                   (source.out_dir / "publish.json").string());
    return verified ? 0 : EXIT_CODE_FAILED;
}

}  // namespace

void add_publish(Commands & commands) {
    auto options = std::make_shared<PublishArguments>();
    CLI::App * command =
        commands.add("publish", "upload a campaign's models and cards to the Hugging Face Hub and verify them",
                     [options, &commands] {
                         return hub::checking_answers([&] { return run_publish(*options, commands.globals()); });
                     });
    command->add_option("campaign", options->campaign, "campaign file, or the folder with its results")
        ->type_name("CAMPAIGN.toml|DIR")
        ->required();
    command->add_option("--out", options->out_dir, "folder with the results (default: out_dir of the campaign)")
        ->type_name("DIR");
    command
        ->add_option("--repo", options->repo,
                     "where to: USER/NAME, or USER alone for names made from the models' (default: repo_owner of the "
                     "campaign); with a repository per quantization, NAME-GGUF becomes NAME-Q4_K_M-GGUF and so on")
        ->type_name("USER[/NAME]");
    command
        ->add_option("--layout", options->layout,
                     "repositories: one per quantization or one per model (default: the campaign's)")
        ->check(CLI::IsMember({"per-quant", "per-model"}));
    command->add_option("--model", options->model, "only this model of the campaign")->type_name("NAME");
    command->add_option("--quant", options->quantizations, "only these quantizations, separated by ','")
        ->type_name("TYPES")
        ->delimiter(',');
    command->add_flag("--private", options->publish.is_private, "create private repositories");
    command->add_flag("--create-pr", options->publish.create_pr, "open a pull request instead of committing");
    command
        ->add_option("--revision", options->publish.revision,
                     "branch to commit to; created from main if it does not exist")
        ->type_name("BRANCH")
        ->capture_default_str();
    command->add_option("--message", options->publish.message, "commit message (default: what was added)")
        ->type_name("TEXT");
    command
        ->add_option("--max-file-size", options->max_file_size,
                     "larger files are split into parts that llama.cpp loads as one model")
        ->type_name("SIZE")
        ->capture_default_str();
    add_templates_option(*command, options->templates);
    command->add_flag("--dry-run", options->dry_run, "show what would be created and changed, and send nothing");
    command->add_flag("--yes,-y", options->yes, "do not ask for confirmation");
    command->footer(
        "You can stop or kill it at any time: the same command continues where it was, and sends nothing again that "
        "the Hub has. Environment: HF_TOKEN (or the token of hf auth login), HF_ENDPOINT, HF_HOME, HF_HUB_OFFLINE. "
        "The token is read only from there, and shown nowhere. Exit codes: 0 published and verified, or already "
        "there; 1 not fit to be published (each reason says what to do), failed, or the answer was no.");
}

}  // namespace shimmy::cli

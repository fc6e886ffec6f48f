// shimmy publish: a campaign's models, with their cards, to the Hugging Face Hub.
#include "base/error.h"
#include "base/files.h"
#include "base/process/interrupt.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/print/publish_text.h"
#include "cli/templates_option.h"
#include "engine/predict/quantization.h"
#include "lab/campaign/campaign.h"
#include "lab/campaign/plan_file.h"
#include "lab/measure/summary.h"
#include "publish/publisher.h"
#include "publish/record.h"
#include "report/documents/documents.h"

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

struct CampaignFolder {
    fs::path out_dir;
    std::string campaign_file;
    std::string rerun_command;
};

// A campaign's file, or the folder with its results.
CampaignFolder find_source(const PublishArguments & options) {
    std::error_code ignored;
    if (fs::is_directory(options.campaign, ignored)) {
        if (!options.out_dir.empty())
            fail_usage("{} is a folder with results already: leave out --out", options.campaign);
        const lab::CampaignPlan plan = lab::read_plan(options.campaign);
        const std::string file = plan.campaign.file.string();
        return {options.campaign, file, fmt::format("shimmy lab run {} --out {}", file, options.campaign)};
    }
    const lab::Campaign campaign = lab::read_campaign(options.campaign);
    const std::string out = options.out_dir.empty() ? "" : " --out " + options.out_dir;
    return {options.out_dir.empty() ? campaign.out_dir : fs::path(options.out_dir), options.campaign,
            "shimmy lab run " + options.campaign + out};
}

publish::PlanOptions plan_options(const PublishArguments & options, const CampaignFolder & source,
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
    plan.rerun_command = source.rerun_command;
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

// Once a run, and before anything is read or written: a token that cannot write is no use.
std::optional<hub::Account> check_token(const hub::Api & api, const PublishArguments & options,
                                        const std::string & owner) {
    if (api.environment().token.empty()) {
        if (options.dry_run) return std::nullopt;
        fail(
            "no token: set HF_TOKEN to one that may write (made on the Hub under Settings, Access Tokens), or log in "
            "with hf auth login");
    }
    hub::Account account = hub::who_am_i(api);
    if (account.role == "read") fail("the token of {} can only read: make one that may write", account.name);
    const bool own = account.name == owner || std::find(account.organizations.begin(), account.organizations.end(),
                                                        owner) != account.organizations.end();
    if (!own && !options.publish.create_pr) {
        fail(
            "the token is {}'s, who is not in '{}': publish under {}, or add --create-pr to a repository that is there",
            account.name, owner, account.name);
    }
    return account;
}

// The plan in the folder, with what the campaign's file says now about licenses, owner and the like. A file that has
// gone, or has become another campaign's, says nothing.
lab::CampaignPlan read_campaign_plan(const CampaignFolder & source) {
    lab::CampaignPlan plan = lab::read_plan(source.out_dir);
    std::error_code ignored;
    if (!fs::is_regular_file(source.campaign_file, ignored)) return plan;
    const lab::Campaign now = lab::read_campaign(source.campaign_file);
    if (now.name == plan.campaign.name) lab::take_document_keys(plan, now);
    return plan;
}

class Publishing {
public:
    Publishing(const PublishArguments & options, const Globals & globals)
        : options_(options),
          json_(globals.json),
          source_(find_source(options)),
          campaign_(read_campaign_plan(source_)),
          plan_options_(plan_options(options, source_, campaign_.campaign, globals.json)),
          reporter_(globals.json),
          api_(hub::read_environment(), [this](const std::string & line) { reporter_.note(line); }) {}

    int run() {
        const auto account = check_token(api_, options_, plan_options_.owner);
        const publish::PublicationPlan plan = publish::plan_publication(campaign_, plan_options_);
        if (!plan.obstacles.empty()) return refuse(plan);
        std::vector<Proposal> proposals;
        for (const publish::PlannedRepository & repository : plan.repositories)
            proposals.push_back(propose(plan, repository));
        const std::string text =
            proposal_text(proposals, plan.notes, api_.environment().endpoint, account, options_.publish);
        if (options_.dry_run) {
            if (json_) {
                print(json_text(proposal_document(proposals, plan.notes, api_.environment().endpoint, account)) + "\n");
            } else {
                print(text +
                      "Dry run: nothing was sent. All cards are complete; the Hub checks them before anything is "
                      "created.\n");
            }
            return 0;
        }
        const bool nothing = std::all_of(proposals.begin(), proposals.end(),
                                         [](const Proposal & proposal) { return proposal.difference.is_empty(); });
        const bool asks = !nothing && !options_.yes;
        if (!json_) print(text);
        if (json_ && asks) fmt::print(stderr, "{}", text);
        if (asks && !confirmed("Publish this?")) {
            print(json_ ? json_text(Json{{"published", false}, {"obstacles", {"the answer was no"}}}) + "\n"
                        : "Nothing was published.\n");
            return EXIT_CODE_FAILED;
        }
        return publish_all(plan, proposals);
    }

private:
    static void print(const std::string & text) { fmt::print("{}", text); }

    int refuse(const publish::PublicationPlan & plan) const {
        if (json_) print(json_text(Json{{"published", false}, {"obstacles", plan.obstacles}}) + "\n");
        for (const std::string & obstacle : plan.obstacles)
            fmt::print(stderr, "shimmy: not fit to be published: {}\n", obstacle);
        return EXIT_CODE_FAILED;
    }

    Proposal propose(const publish::PublicationPlan & plan, const publish::PlannedRepository & repository) {
        Proposal proposal;
        proposal.repository = repository;
        proposal.package = publish::make_package(plan, repository, source_.out_dir, plan_options_.max_file_bytes,
                                                 /*split=*/!options_.dry_run, json_);
        proposal.difference = publish::compare(api_, proposal.package, options_.publish);
        return proposal;
    }

    int publish_all(const publish::PublicationPlan & plan, const std::vector<Proposal> & proposals) {
        Json records = Json::array();
        bool verified = true;
        for (const Proposal & proposal : proposals) {
            const publish::Outcome outcome =
                publish::publish_package(api_, proposal.package, proposal.difference, options_.publish,
                                         source_.out_dir / "publish" / ".uploads", reporter_);
            const Json record =
                publish::record_of(proposal.repository, proposal.package, outcome, api_.environment().endpoint);
            publish::write_record(source_.out_dir, record);
            verified = verified && outcome.verified();
            if (!json_) print(outcome_text(proposal, outcome, api_.environment().endpoint));
            records.push_back(record);
            records.back()["changed"] = outcome.is_new;
            records.back()["sent_bytes"] = outcome.sent_bytes;
        }
        lab::Summary summary = plan.summary;
        summary.campaign.layout = campaign_.campaign.layout;  // documents keep the campaign's own
        report::write_documents(summary, source_.out_dir, source_.campaign_file, source_.rerun_command, plan.templates);
        if (json_) print(json_text(Json{{"published", true}, {"repositories", records}}) + "\n");
        if (!verified)
            fmt::print(stderr, "shimmy: what the Hub shows is not what was published: see the checks in {}\n",
                       (source_.out_dir / "publish.json").string());
        return verified ? 0 : EXIT_CODE_FAILED;
    }

    const PublishArguments & options_;
    bool json_;
    CampaignFolder source_;
    lab::CampaignPlan campaign_;
    publish::PlanOptions plan_options_;
    publish::Reporter reporter_;
    hub::Api api_;
};

}  // namespace

void add_publish(Commands & commands) {
    auto options = std::make_shared<PublishArguments>();
    CLI::App * command =
        commands.add("publish", "upload a campaign's models and cards to the Hugging Face Hub and verify them",
                     [options, &commands] {
                         return hub::checking_answers([&] { return Publishing(*options, commands.globals()).run(); });
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

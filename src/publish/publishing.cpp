#include "publish/publishing.h"

#include "base/error.h"
#include "publish/record.h"
#include "report/documents/documents.h"

#include <algorithm>

namespace shimmy::publish {

bool Proposals::is_empty() const {
    return std::all_of(repositories.begin(), repositories.end(),
                       [](const Proposal & proposal) { return proposal.difference.is_empty(); });
}

Publishing::Publishing(CampaignSource source, lab::CampaignPlan campaign, PlanOptions plan, PublishOptions options)
    : source_(std::move(source)),
      campaign_(std::move(campaign)),
      plan_options_(std::move(plan)),
      options_(std::move(options)),
      reporter_(plan_options_.quiet),
      api_(hub::read_environment(), [this](const std::string & line) { reporter_.note(line); }) {}

std::optional<hub::Account> Publishing::check_token(bool dry_run) const {
    if (api_.environment().token.empty()) {
        if (dry_run) return std::nullopt;
        fail(
            "no token: set HF_TOKEN to one that may write (made on the Hub under Settings, Access Tokens), or log in "
            "with hf auth login");
    }
    hub::Account account = hub::who_am_i(api_);
    if (account.role == "read") fail("the token of {} can only read: make one that may write", account.name);
    const std::string & owner = plan_options_.owner;
    const auto & groups = account.organizations;
    const bool own = account.name == owner || std::find(groups.begin(), groups.end(), owner) != groups.end();
    if (!own && !options_.create_pr) {
        fail(
            "the token is {}'s, who is not in '{}': publish under {}, or add --create-pr to a repository that is there",
            account.name, owner, account.name);
    }
    return account;
}

Proposals Publishing::propose(bool dry_run) {
    Proposals proposals;
    proposals.endpoint = api_.environment().endpoint;
    proposals.account = check_token(dry_run);
    proposals.plan = plan_publication(campaign_, plan_options_);
    if (!proposals.plan.obstacles.empty()) return proposals;
    for (const PlannedRepository & repository : proposals.plan.repositories) {
        Package package = make_package(proposals.plan, repository, source_.out_dir, plan_options_.max_file_bytes,
                                       /*split=*/!dry_run, plan_options_.quiet);
        Difference difference = compare(api_, package, options_);
        proposals.repositories.push_back({repository, std::move(package), std::move(difference)});
    }
    return proposals;
}

std::vector<Published> Publishing::publish(const Proposals & proposals,
                                           const std::function<void(const Proposal &, const Outcome &)> & on_done) {
    std::vector<Published> all;
    for (const Proposal & proposal : proposals.repositories) {
        Outcome outcome = publish_package(api_, proposal.package, proposal.difference, options_,
                                          source_.out_dir / "publish" / ".uploads", reporter_);
        Json record = record_of(proposal.repository, proposal.package, outcome, proposals.endpoint);
        write_record(source_.out_dir, record);
        on_done(proposal, outcome);
        all.push_back({std::move(record), std::move(outcome)});
    }
    lab::Summary summary = proposals.plan.summary;
    summary.campaign.layout = campaign_.campaign.layout;  // documents keep the campaign's own
    report::write_documents(summary, source_.out_dir, source_.campaign_file, source_.rerun_command,
                            proposals.plan.templates);
    return all;
}

}  // namespace shimmy::publish

// Publishing a campaign, in two steps: what would be done, which only reads, and doing it.
#pragma once

#include "base/json.h"
#include "publish/campaign_source.h"
#include "publish/publisher.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace shimmy::publish {

// A repository as it would be.
struct Proposal {
    PlannedRepository repository;
    Package package;
    Difference difference;
};

// What would be done. With obstacles in the plan there are no proposals, and nothing may be published.
struct Proposals {
    std::string endpoint;
    std::optional<hub::Account> account;  // whose token it is; none: there is no token
    PublicationPlan plan;
    std::vector<Proposal> repositories;

    bool is_empty() const;  // everything is there already
};

// A repository that was published.
struct Published {
    Json record;  // as publish.json has it
    Outcome outcome;
};

class Publishing {
public:
    // `plan.rerun_command` is the source's.
    Publishing(CampaignSource source, lab::CampaignPlan campaign, PlanOptions plan, PublishOptions options);

    // Checks the token first: one that cannot write is no use. A dry run needs none, and does not split large files.
    Proposals propose(bool dry_run);

    // Uploads and verifies each repository, which `on_done` is told, and writes publish.json and the campaign's
    // documents anew.
    std::vector<Published> publish(const Proposals & proposals,
                                   const std::function<void(const Proposal &, const Outcome &)> & on_done);

private:
    std::optional<hub::Account> check_token(bool dry_run) const;

    CampaignSource source_;
    lab::CampaignPlan campaign_;
    PlanOptions plan_options_;
    PublishOptions options_;
    Reporter reporter_;
    hub::Api api_;
};

}  // namespace shimmy::publish

// What `shimmy publish` says before and after.
#pragma once

#include "base/json.h"
#include "hub/upload/changes.h"
#include "publish/publisher.h"

#include <optional>
#include <string>
#include <vector>

namespace shimmy::cli {

// A repository as it would be.
struct Proposal {
    publish::PlannedRepository repository;
    publish::Package package;
    publish::Difference difference;
};

std::string proposal_text(const std::vector<Proposal> & proposals, const std::vector<std::string> & notes,
                          const std::string & endpoint, const std::optional<hub::Account> & account,
                          const publish::PublishOptions & options);

Json proposal_document(const std::vector<Proposal> & proposals, const std::vector<std::string> & notes,
                       const std::string & endpoint, const std::optional<hub::Account> & account);

std::string outcome_text(const Proposal & proposal, const publish::Outcome & outcome, const std::string & endpoint);

}  // namespace shimmy::cli

// What `shimmy publish` says before and after.
#pragma once

#include "base/json.h"
#include "publish/publishing.h"

#include <string>

namespace shimmy::cli {

std::string proposal_text(const publish::Proposals & proposals, const publish::PublishOptions & options);

Json proposal_document(const publish::Proposals & proposals);

std::string outcome_text(const publish::Proposal & proposal, const publish::Outcome & outcome,
                         const std::string & endpoint);

}  // namespace shimmy::cli

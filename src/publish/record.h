// publish.json of a campaign: what is on the Hub, and what was looked at there (docs/PUBLISHING.md has every field).
#pragma once

#include "base/json.h"
#include "publish/publisher.h"

namespace shimmy::publish {

// An entry of "repositories".
Json record_of(const PlannedRepository & repository, const Package & package, const Outcome & outcome,
               const std::string & endpoint);

// Puts the entry in place of the one of the same endpoint, repository and revision. The same content gives the same
// bytes.
void write_record(const fs::path & out_dir, const Json & record);

}  // namespace shimmy::publish

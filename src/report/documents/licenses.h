// Which licenses let a quantized model be published.
#pragma once

#include "base/files.h"
#include "lab/campaign/campaign.h"

#include <string>

namespace shimmy::report {

inline constexpr const char * OTHER_LICENSE = "other";  // the Hub's word for one that is not in its list

// Why the model's card cannot be published under its license, with the line of the campaign
// that changes it; "" if it can. Whether a license that the Hub does not list allows it, only its reader knows.
std::string license_obstacle(const lab::CampaignModel & model);

// The file with the license's text that is published with the card; empty: none.
fs::path license_file(const lab::CampaignModel & model);

}  // namespace shimmy::report

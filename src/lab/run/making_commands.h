// The command lines of shimmy itself that make what a campaign's files are made of, without the program.
#pragma once

#include "lab/plan/plan.h"

#include <string>
#include <vector>

namespace shimmy::lab {

// The best types for a size: `quantize --target-size` into `folder`. The experts stay in RAM, so that a model which
// does not fit a card is no obstacle.
std::vector<std::string> search_arguments(const Campaign & campaign, const Variant & variant, const Mix & mix,
                                          const Backends & backends, const fs::path & folder);

// The importance matrix of a model's text.
std::vector<std::string> imatrix_arguments(const Campaign & campaign, const CampaignModel & model,
                                           const Backends & backends);

}  // namespace shimmy::lab

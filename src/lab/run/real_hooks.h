// What a campaign needs from outside, as it is outside of tests.
#pragma once

#include "lab/campaign/campaign_plan.h"

namespace shimmy::lab {

// The program itself, libllama's quantizer, the real files.
Hooks real_hooks();

}  // namespace shimmy::lab

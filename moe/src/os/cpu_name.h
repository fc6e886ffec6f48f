#pragma once

#include <string>

namespace moe::os {

// The processor's model, as it calls itself ("Intel(R) Xeon(R) Processor @ 2.10GHz"); "unknown" if it does not say.
std::string cpu_name();

}  // namespace moe::os

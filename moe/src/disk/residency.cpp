#include "residency.h"

#include <cmath>

namespace moe {

namespace {
constexpr double HALF_LIFE = 16;  // tokens
}

// As if its tokens had come one after another, each with its share of the batch.
void Uses::add(const int32_t * count, int64_t tokens) {
    const double kept = std::exp2(-double(tokens) / HALF_LIFE);
    const double per_token = (1 - kept) / (1 - std::exp2(-1 / HALF_LIFE)) / double(tokens);
    for (size_t e = 0; e < use_.size(); ++e) {
        use_[e] = static_cast<float>(use_[e] * kept + count[e] * per_token);
    }
}

}  // namespace moe

// What turns logits into natural-log probabilities: log p(i) = logits[i] - log_sum_exp(logits).
#pragma once

#include <algorithm>
#include <cmath>
#include <span>

namespace shimmy {

// Not finite where a logit is not a number. At least one logit.
inline double log_sum_exp(std::span<const float> logits) {
    const double most = *std::max_element(logits.begin(), logits.end());
    double sum = 0.0;
    for (const float logit : logits)
        sum += std::exp(logit - most);
    return most + std::log(sum);
}

}  // namespace shimmy

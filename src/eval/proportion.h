// Shares of questions answered rightly, and what two of them on the same questions say.
#pragma once

#include <cstddef>
#include <vector>

namespace shimmy::eval {

struct Interval {
    double low = 0.0;
    double high = 0.0;
};

// The 95% interval of a share of `n_right` in `n` >= 1: Wilson's score interval (JASA 22, 1927), as llama-perplexity
// gives it for HellaSwag.
Interval wilson95(size_t n_right, size_t n);

// Two models on the same questions.
struct Paired {
    size_t n = 0;
    size_t n_both = 0;
    size_t n_only_first = 0;
    size_t n_only_second = 0;

    double difference() const;  // second minus first, as a share of n
};

// `first` and `second`: whether each question was answered rightly, in the same order; what one has more is left out.
Paired pair(const std::vector<bool> & first, const std::vector<bool> & second);

// McNemar's exact test, two-sided: the probability that, if both were equally good, the questions that only one of them
// got right would be divided at least as unevenly. 1 if there are none.
double mcnemar_exact(const Paired & paired);

// The 95% interval of the difference: Wald's, with one more pair counted for each model alone (Bonett and Price,
// J. Educ. Behav. Stat. 37, 2012), which keeps its coverage for few questions and shares near 0 and 1.
Interval difference95(const Paired & paired);

}  // namespace shimmy::eval

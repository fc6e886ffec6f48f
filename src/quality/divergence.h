// How far a model's predictions are from those of the model it was quantized from.
#pragma once

#include <cstddef>
#include <vector>

namespace shimmy::quality {

// What one position of the text adds: natural logarithms.
struct Position {
    double nll_base = 0.0;  // -log of the probability that the base gives the right token
    double nll = 0.0;       // the same of the model
    double kld = 0.0;       // KL(base || model) over the vocabulary
    bool same_top = false;  // both find the same token likeliest
};

// `base` and `model`: log-probabilities over the vocabulary, `n_vocab` floats each; `right`: the token that follows.
Position compare(const float * base, const float * model, size_t n_vocab, size_t right);

struct Divergence {
    double ppl_base = 0.0;  // perplexity: e to the mean of nll
    double ppl = 0.0;
    double ppl_error = 0.0;  // one standard error, as llama-perplexity gives it
    double ppl_ratio = 0.0;  // ppl / ppl_base
    double mean_kld = 0.0;   // nats
    double mean_kld_error = 0.0;
    double median_kld = 0.0;
    double kld_p90 = 0.0;
    double kld_p99 = 0.0;
    double kld_p999 = 0.0;
    double max_kld = 0.0;
    double rms_delta_p = 0.0;  // root mean square of the difference in the right token's probability, 0..1
    double same_top_percent = 0.0;
};

// Throws Error for fewer than two positions.
Divergence summarize(const std::vector<Position> & positions);

}  // namespace shimmy::quality

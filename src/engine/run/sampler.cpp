#include "engine/run/sampler.h"

#include "base/error.h"
#include "engine/llama/log.h"

#include <cmath>

namespace shimmy::engine {

common_sampler_ptr make_sampler(const llama_model * model, common_params_sampling params,
                                const SamplingOptions & options) {
    params.seed = options.seed;
    params.temp = options.temperature;
    params.top_k = options.temperature > 0.0F ? options.top_k : 1;  // the others need not be sorted
    params.top_p = options.top_p;
    params.min_p = options.min_p;
    params.penalty_repeat = options.repeat_penalty;
    params.no_perf = true;
    const llama_vocab * vocab = llama_model_get_vocab(model);
    for (llama_token token = 0; params.ignore_eos && token < llama_vocab_n_tokens(vocab); ++token) {
        if (llama_vocab_is_eog(vocab, token)) params.logit_bias.push_back({token, -INFINITY});
    }
    const LogCapture log;
    common_sampler_ptr sampler;
    try {
        sampler.reset(common_sampler_init(model, params));
    } catch (const std::exception & error) {
        fail_usage("the samplers: {}", error.what());
    }
    if (!sampler) fail_usage("the samplers: {}", log.reason("llama.cpp refuses their settings (try -vv)"));
    return sampler;
}

}  // namespace shimmy::engine

#include "engine/run/answer.h"

namespace shimmy::engine {

const char * to_string(StopReason reason) {
    switch (reason) {
        case StopReason::end_of_text:
            return "end_of_text";
        case StopReason::max_tokens:
            return "max_tokens";
        case StopReason::context_full:
            return "context_full";
        case StopReason::stopped:
            return "stopped";
    }
    return "";  // there is no other
}

double GenerateResult::prefill_tps() const {
    return prefill_ms > 0.0 ? (n_prompt_tokens - n_reused_tokens) * 1000.0 / prefill_ms : 0.0;
}

std::optional<double> GenerateResult::decode_tps() const {
    if (n_output_tokens < 2 || decode_ms <= 0.0) return std::nullopt;
    return (n_output_tokens - 1) * 1000.0 / decode_ms;
}

void GenerateResult::add_ms_before(double ms) {
    ttft_ms += ms;
    total_ms += ms;
    for (double & one : token_ms)
        one += ms;
}

}  // namespace shimmy::engine

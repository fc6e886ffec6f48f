// What a model is asked with and answers: conversations, text, and how long it took. No llama.cpp or ggml type.
#pragma once

#include "engine/speculate/speculation_report.h"
#include "engine/vision/image.h"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace shimmy::engine {

// At most, of an answer that shows how long the first request after loading waits.
inline constexpr int N_COLD_TOKENS = 16;

struct Message {
    std::string role;  // "system", "user", "assistant"
    std::string content;
    std::string thoughts{};       // of the assistant, which most templates leave out of later turns
    std::vector<Image> images{};  // that the user shows, before the text
};

enum class StopReason { end_of_text, max_tokens, context_full, stopped };
const char * to_string(StopReason reason);

// Times are wall-clock ms. TTFT runs from the call of generate() (request accepted; the model is already loaded) to
// the first token handed out, so it holds tokenization, prefill and the first sample.
struct GenerateResult {
    std::string text;
    StopReason stop_reason = StopReason::end_of_text;
    int n_prompt_tokens = 0;
    int n_reused_tokens = 0;  // of these, that the context held from before
    int n_output_tokens = 0;
    double ttft_ms = 0.0;
    double prefill_ms = 0.0;
    double decode_ms = 0.0;  // first token to last
    double total_ms = 0.0;
    std::vector<double> token_ms;  // time of each output token since the call; drafted ones come together
    std::optional<SpeculationReport> speculation;

    double prefill_tps() const;                // prompt tokens that were computed, per second of prefill
    std::optional<double> decode_tps() const;  // (n_output - 1) / decode time; none for fewer than two tokens

    // All times of tokens are counted from so much earlier.
    void add_ms_before(double ms);
};

// Called with each piece of text, always whole UTF-8 sequences. Returning false stops the generation.
using OnText = std::function<bool(std::string_view text)>;

// The answer to a conversation: what the model thought, and what it said.
struct Reply {
    GenerateResult figures;  // `text` is the raw answer, with the marks that tell thoughts from speech
    Message message;
};

// Called with each piece of a reply. Returning false stops it.
using OnReply = std::function<bool(bool is_thought, std::string_view text)>;

}  // namespace shimmy::engine

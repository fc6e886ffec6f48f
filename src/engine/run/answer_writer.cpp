#include "engine/run/answer_writer.h"

#include "base/error.h"
#include "base/no_allocation.h"
#include "base/process/interrupt.h"

#include <algorithm>
#include <limits>
#include <span>

namespace shimmy::engine {

namespace {

constexpr size_t LONG_TOKEN_BYTES = 256;        // of its text; longer ones are rare
constexpr size_t RESERVED_BYTES_PER_TOKEN = 8;  // of an answer's text: twice what most vocabularies have on average

// Lies in `buffer`, which grows to the longest.
std::string_view token_text(const llama_vocab * vocab, llama_token token, bool special, std::string & buffer) {
    const auto write = [&] {
        return llama_token_to_piece(vocab, token, buffer.data(), static_cast<int>(buffer.size()), 0, special);
    };
    int n = write();
    if (n < 0) {
        buffer.resize(static_cast<size_t>(-n));
        n = write();
    }
    return std::string_view(buffer).substr(0, static_cast<size_t>(std::max(0, n)));
}

}  // namespace

std::set<llama_token> special_tokens(const llama_vocab * vocab, const std::vector<std::string> & texts) {
    std::set<llama_token> tokens;
    for (const std::string & text : texts) {
        llama_token token = 0;
        const int n = llama_tokenize(vocab, text.c_str(), static_cast<int>(text.size()), &token, 1,
                                     /*add_special=*/false, /*parse_special=*/true);
        if (n == 1) tokens.insert(token);
    }
    return tokens;
}

GenerateResult AnswerWriter::write(const PicturedTokens & prompt, Projector * projector, int max_tokens,
                                   const std::set<llama_token> & shown, const OnText & on_text) {
    const Stopwatch since_prefill;
    const size_t n_prompt = prompt.n_cells();
    result_.n_prompt_tokens = static_cast<int>(n_prompt);
    result_.n_reused_tokens = static_cast<int>(context_.bring(prompt, projector));
    context_.require_numbers();
    result_.prefill_ms = since_prefill.ms();

    const size_t n_ctx = context_.n_ctx();
    const int limit = max_tokens > 0 ? max_tokens : std::numeric_limits<int>::max();
    reserve(n_prompt, std::min(static_cast<size_t>(limit), n_ctx - std::min(n_ctx, n_prompt) + 1));
    result_.stop_reason = StopReason::max_tokens;
    if (speculation_ != nullptr) speculation_->begin(context_.tokens());
    std::vector<llama_token> next{common_sampler_sample(sampler_.get(), context_.get(), -1)};
    size_t n_taken = 0;  // of these
    common_sampler_accept(sampler_.get(), next.front(), /*is_generated=*/true);
    while (result_.n_output_tokens < limit) {
        const llama_token token = next[n_taken++];
        if (llama_vocab_is_eog(context_.vocab(), token)) {
            result_.stop_reason = StopReason::end_of_text;
            break;
        }
        const bool go_on = hand_out(text_of(token, shown.contains(token)), on_text);
        count();
        if (!go_on || interrupted()) {
            result_.stop_reason = StopReason::stopped;
            break;
        }
        const size_t n_tokens = n_prompt + result_.token_ms.size();
        if (n_tokens >= n_ctx) {
            result_.stop_reason = StopReason::context_full;
            break;
        }
        if (result_.n_output_tokens == limit) break;
        if (n_taken < next.size()) continue;
        try {
            advance(token, std::min(static_cast<size_t>(limit - result_.n_output_tokens), n_ctx - n_tokens), next);
            n_taken = 0;
        } catch (const Interrupted &) {
            context_.recover();
            result_.stop_reason = StopReason::stopped;
            break;
        }
    }
    hand_out(utf8_.finish(), on_text);
    if (speculation_ != nullptr) result_.speculation = speculation_->report();
    result_.total_ms = since_call_.ms();
    result_.ttft_ms = result_.token_ms.empty() ? result_.total_ms : result_.token_ms.front();
    result_.decode_ms = result_.token_ms.empty() ? 0.0 : result_.token_ms.back() - result_.token_ms.front();
    return std::move(result_);
}

void AnswerWriter::reserve(size_t n_prompt, size_t n_most) {
    result_.token_ms.reserve(n_most);
    result_.text.reserve(n_most * RESERVED_BYTES_PER_TOKEN);
    context_.reserve(n_prompt + n_most);
    buffer_.assign(LONG_TOKEN_BYTES, '\0');
}

std::string_view AnswerWriter::text_of(llama_token token, bool special) {
    const std::string_view piece = token_text(context_.vocab(), token, special, buffer_);
    const NoAllocation promise;
    return utf8_.push(piece);
}

bool AnswerWriter::hand_out(std::string_view text, const OnText & on_text) {
    {
        const NoAllocation promise;
        result_.text += text;
    }
    return text.empty() || !on_text || on_text(text);
}

void AnswerWriter::count() {
    const NoAllocation promise;
    result_.token_ms.push_back(since_call_.ms());
    ++result_.n_output_tokens;
}

void AnswerWriter::advance(llama_token token, size_t n_most, std::vector<llama_token> & next) {
    const Stopwatch step;
    std::vector<llama_token> drafted;  // allocates nothing while it is empty
    if (speculation_ != nullptr) {
        const size_t n_batch = llama_n_batch(context_.get());
        drafted = speculation_->draft(context_.tokens(), token, std::min(n_most, n_batch) - 1);
    }
    if (drafted.empty()) {
        context_.extend(token);
        const llama_token following = common_sampler_sample(sampler_.get(), context_.get(), -1);
        common_sampler_accept(sampler_.get(), following, /*is_generated=*/true);
        const NoAllocation promise;
        next.assign(1, following);
    } else {
        std::vector<llama_token> tokens{token};
        tokens.insert(tokens.end(), drafted.begin(), drafted.end());
        context_.compute_behind(tokens);
        next = common_sampler_sample_and_accept_n(sampler_.get(), context_.get(), drafted);
        context_.hold(std::span(tokens).first(next.size()));  // the last of `next` is new, the others were drafted
    }
    if (speculation_ != nullptr) speculation_->add(drafted.size(), next.size() - 1, step.ms());
}

}  // namespace shimmy::engine

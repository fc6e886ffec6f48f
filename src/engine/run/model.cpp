#include "engine/run/model.h"

#include "base/error.h"
#include "base/last_words.h"
#include "base/log_sum_exp.h"
#include "base/no_allocation.h"
#include "base/process/bounded_work.h"
#include "base/process/interrupt.h"
#include "base/text.h"
#include "engine/load/load_params.h"
#include "engine/load/log.h"
#include "engine/load/routing_recorder.h"
#include "engine/predict/companions.h"
#include "engine/predict/estimate.h"
#include "engine/predict/fit.h"
#include "engine/run/expert_cache.h"
#include "engine/run/reply_reader.h"
#include "engine/run/sequence_scorer.h"
#include "engine/run/tokens.h"
#include "engine/run/utf8.h"
#include "engine/speculate/speculation.h"
#include "gguf/purpose.h"

#include "chat.h"
#include "common.h"
#include "ggml-backend.h"
#include "llama-ext.h"
#include "log.h"
#include "sampling.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

namespace shimmy::engine {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int N_WARMUP_TOKENS = 16;  // enough to take the matrix-matrix path of every backend
constexpr size_t MAX_REASON_CHARS = 300;
constexpr const char * WITHOUT_TEMPLATE = "shimmy generate --raw needs none";
constexpr const char * ENDLESS_TEMPLATE =
    "its chat template takes more than 10 s or 2 GiB, and was stopped: shimmy generate --raw needs none";
static_assert(BoundedWork::TIME_LIMIT.count() == 10 && BoundedWork::MEMORY_LIMIT == uint64_t{2} << 30);
constexpr size_t LONG_TOKEN_BYTES = 256;        // of its text; longer ones are rare
constexpr size_t RESERVED_BYTES_PER_TOKEN = 8;  // of an answer's text: twice what most vocabularies have on average

double ms_since(Clock::time_point start) {
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// llama.cpp's own samplers in its own order, with what the user's llama_args add to them.
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

// In place: logits to natural-log probabilities.
void log_softmax(float * logits, int n) {
    const auto log_sum = static_cast<float>(log_sum_exp({logits, static_cast<size_t>(n)}));
    for (int i = 0; i < n; ++i)
        logits[i] -= log_sum;
}

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

}  // namespace

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

struct Model::Impl {
    PlacementChoice placement;
    MemoryUse companions;
    std::unique_ptr<LoadParams> params;
    std::unique_ptr<RoutingRecorder> routing;  // null: not wanted. The context points to it
    llama_model_ptr model;
    llama_context_ptr context;
    common_chat_templates_ptr templates;       // null: not needed yet
    std::unique_ptr<Speculation> speculation;  // null: none
    std::string name;                          // of the model, for messages
    double load_ms = 0.0;
    std::vector<llama_token> held;           // whose keys and values are in the context, in order
    std::unique_ptr<SequenceScorer> scorer;  // null: never asked for

    const llama_vocab * vocab() const { return llama_model_get_vocab(model.get()); }

    // False for models that look ahead: they keep nothing of a text, and compute it anew for every token.
    bool has_memory() const { return llama_get_memory(context.get()) != nullptr; }

    void decode(const llama_token * tokens, int n_tokens);
    void prefill(const llama_token * tokens, size_t n_tokens);
    void forget();
    // Brings the context to hold `tokens`, of which it may hold a beginning. Returns how many it held.
    size_t bring(const std::vector<llama_token> & tokens);
    void extend(llama_token token);  // what is held, by one
    // The tokens that come after `token`, into `next`: one, or several where drafts were right. All but the last are
    // held then.
    void advance(llama_token token, common_sampler * sampler, size_t n_most, std::vector<llama_token> & next);
    void decode_at_end(const std::vector<llama_token> & tokens);  // with a result for each
    bool can_go_back_to(llama_pos position);                      // then what is held ends there
    void require_numbers();
    // The answer to `tokens`. `shown`: special tokens that are text.
    GenerateResult produce(const std::vector<llama_token> & tokens, int max_tokens, const SamplingOptions & sampling,
                           const std::set<llama_token> & shown, const OnText & on_text);
    common_chat_templates_inputs template_inputs(const std::vector<Message> & messages) const;
    void warm_up();
    const common_chat_templates * chat_templates();
    common_chat_params render(const common_chat_templates_inputs & inputs);
};

void Model::Impl::decode(const llama_token * tokens, int n_tokens) {
    const LogCapture log;
    const int rc = llama_decode(context.get(), llama_batch_get_one(const_cast<llama_token *>(tokens), n_tokens));
    check_interrupted();  // an aborted decode returns an error of its own
    if (rc != 0)
        fail("{}: decoding {} tokens failed: {}", name, n_tokens,
             log.reason(fmt::format("llama_decode returned {}", rc)));
}

void Model::Impl::prefill(const llama_token * tokens, size_t n_tokens) {
    const size_t n_batch = llama_n_batch(context.get());
    for (size_t start = 0; start < n_tokens; start += n_batch)
        decode(tokens + start, static_cast<int>(std::min(n_batch, n_tokens - start)));
    llama_synchronize(context.get());
}

void Model::Impl::forget() {
    if (has_memory()) llama_memory_clear(llama_get_memory(context.get()), true);
    held.clear();
    if (scorer) scorer->forget();
}

size_t Model::Impl::bring(const std::vector<llama_token> & tokens) {
    const auto [differs, ignored] = std::mismatch(held.begin(), held.end(), tokens.begin(), tokens.end());
    // The last token is computed in any case: its logits are what comes next.
    size_t n_kept = has_memory() ? std::min(static_cast<size_t>(differs - held.begin()), tokens.size() - 1) : 0;
    if (n_kept < held.size() && !can_go_back_to(static_cast<llama_pos>(n_kept))) n_kept = 0;
    if (n_kept == 0) forget();
    held.resize(n_kept);
    try {
        prefill(tokens.data() + n_kept, tokens.size() - n_kept);
    } catch (...) {
        forget();  // some of it may have been computed
        throw;
    }
    held = tokens;
    return n_kept;
}

// A recurrent state cannot be taken back to an earlier token, nor a window of attention that has moved on.
bool Model::Impl::can_go_back_to(llama_pos position) {
    llama_memory_t memory = llama_get_memory(context.get());
    const llama_pos first = llama_memory_seq_pos_min(memory, 0);
    if (first > 0 && position - llama_model_n_swa(model.get()) < first) return false;
    return llama_memory_seq_rm(memory, 0, position, -1);
}

void Model::Impl::extend(llama_token token) {
    if (has_memory()) {
        decode(&token, 1);
        const NoAllocation promise;
        held.push_back(token);
    } else {
        held.push_back(token);
        prefill(held.data(), held.size());
    }
}

// Results of several tokens: those of one are decode()'s.
void Model::Impl::decode_at_end(const std::vector<llama_token> & tokens) {
    llama_batch batch = llama_batch_init(static_cast<int32_t>(tokens.size()), 0, 1);
    const std::unique_ptr<llama_batch, void (*)(llama_batch *)> guard(&batch,
                                                                      [](llama_batch * b) { llama_batch_free(*b); });
    for (const llama_token token : tokens) {
        const int i = batch.n_tokens++;
        batch.token[i] = token;
        batch.pos[i] = static_cast<llama_pos>(held.size()) + i;
        batch.n_seq_id[i] = 1;
        batch.seq_id[i][0] = 0;
        batch.logits[i] = 1;
    }
    const LogCapture log;
    const int rc = llama_decode(context.get(), batch);
    check_interrupted();
    if (rc != 0)
        fail("{}: decoding {} tokens failed: {}", name, tokens.size(),
             log.reason(fmt::format("llama_decode returned {}", rc)));
}

void Model::Impl::advance(llama_token token, common_sampler * sampler, size_t n_most, std::vector<llama_token> & next) {
    const auto start = Clock::now();
    std::vector<llama_token> drafted;  // allocates nothing while it is empty
    if (speculation)
        drafted = speculation->draft(held, token, std::min(n_most, size_t{llama_n_batch(context.get())}) - 1);
    if (drafted.empty()) {
        extend(token);
        const llama_token following = common_sampler_sample(sampler, context.get(), -1);
        common_sampler_accept(sampler, following, /*is_generated=*/true);
        const NoAllocation promise;
        next.assign(1, following);
    } else {
        std::vector<llama_token> tokens{token};
        tokens.insert(tokens.end(), drafted.begin(), drafted.end());
        decode_at_end(tokens);
        next = common_sampler_sample_and_accept_n(sampler, context.get(), drafted);
        held.push_back(token);
        held.insert(held.end(), next.begin(), next.end() - 1);
        llama_memory_seq_rm(llama_get_memory(context.get()), 0, static_cast<llama_pos>(held.size()), -1);
    }
    if (speculation) speculation->add(drafted.size(), next.size() - 1, ms_since(start));
}

// Damaged weights, and some that were quantized without an importance matrix, give no probabilities. Samplers do not
// notice.
void Model::Impl::require_numbers() {
    const float * logits = llama_get_logits_ith(context.get(), -1);
    const bool good = logits != nullptr && std::none_of(logits, logits + llama_vocab_n_tokens(vocab()),
                                                        [](float logit) { return std::isnan(logit); });
    if (!good)
        fail(
            "{}: gives no probabilities (not a number): its weights are damaged, or were quantized so far that they "
            "overflow; take another copy or another quantization",
            name);
}

// A GPU backend compiles its kernels at first use, and mapped weights are read from disk: neither belongs into the
// first request's time. A batch and a single token take both paths.
void Model::Impl::warm_up() {
    const int n_tokens = std::min(N_WARMUP_TOKENS, static_cast<int>(llama_n_batch(context.get())));
    std::vector<llama_token> tokens(static_cast<size_t>(n_tokens));
    std::iota(tokens.begin(), tokens.end(), 0);
    for (llama_token & token : tokens)
        token %= llama_vocab_n_tokens(vocab());
    prefill(tokens.data(), tokens.size());
    decode(tokens.data(), 1);
    llama_synchronize(context.get());
    open_expert_cache(context.get());
}

// Read when it is first needed: a template is a program, and most commands can do without one that is broken.
const common_chat_templates * Model::Impl::chat_templates() {
    if (templates) return templates.get();
    const char * source = llama_model_chat_template(model.get(), nullptr);
    if (source == nullptr) fail("{}: has no chat template: continue a text with shimmy generate --raw", name);
    common_log_set_verbosity_thold(LOG_LEVEL_OUTPUT);  // what is wrong with a template is said in the error
    try {
        const common_chat_template checked(source, "", "");  // llama.cpp's next call would lose the reason
        templates = common_chat_templates_init(model.get(), "");
    } catch (const std::exception & error) {
        fail("{}: its chat template cannot be read: {}: {}", name, printable(error.what(), MAX_REASON_CHARS),
             WITHOUT_TEMPLATE);
    }
    return templates.get();
}

common_chat_params Model::Impl::render(const common_chat_templates_inputs & inputs) {
    const common_chat_templates * read = chat_templates();
    try {
        return common_chat_templates_apply(read, inputs);
    } catch (const std::exception & error) {
        fail("{}: its chat template failed: {}: {}", name, printable(error.what(), MAX_REASON_CHARS), WITHOUT_TEMPLATE);
    }
}

Model::Model(const LoadOptions & wanted) : impl_(std::make_unique<Impl>()) {
    impl_->name = wanted.shown_name();
    const Subject subject(impl_->name);
    const EndsWithinASecond soon;
    LoadOptions options = wanted;
    require_text_model(options);
    require_text_speculation(options);
    impl_->placement = require_loadable(options);
    options = placed(std::move(options), impl_->placement);
    impl_->params = std::make_unique<LoadParams>(options, /*no_alloc=*/false);
    if (has_companions(impl_->params->common())) impl_->companions = companion_memory(options);
    const auto start = Clock::now();
    impl_->model = impl_->params->load_model();
    if (options.record_routing) impl_->routing = std::make_unique<RoutingRecorder>();
    impl_->context = impl_->params->make_context(impl_->model.get(), impl_->routing.get());
    impl_->speculation = Speculation::make(options, *impl_->params, impl_->model.get(), impl_->context.get());
    if (options.warm_up) impl_->warm_up();
    take_routing();  // the warm-up's tokens are nobody's
    impl_->load_ms = ms_since(start);
}

Model::~Model() = default;

const PlacementChoice & Model::placement() const {
    return impl_->placement;
}

const Device & Model::device() const {
    return impl_->params->device();
}

int Model::n_threads() const {
    return impl_->params->n_threads();
}

uint32_t Model::n_ctx() const {
    return llama_n_ctx(impl_->context.get());
}

double Model::load_ms() const {
    return impl_->load_ms;
}

std::string Model::larger_context() const {
    const auto n_trained = static_cast<uint32_t>(llama_model_n_ctx_train(impl_->model.get()));
    if (n_ctx() < n_trained) return fmt::format(", or raise --ctx (up to {})", n_trained);
    return " (the model was trained for no more)";
}

int Model::n_vocab() const {
    return llama_vocab_n_tokens(impl_->vocab());
}

MemoryUse Model::memory() const {
    MemoryUse use = read_memory(impl_->context.get());
    add(use, impl_->companions);
    return use;
}

std::vector<TensorPlacement> Model::tensors() const {
    return read_tensors(impl_->model.get());
}

uint64_t Model::expert_ram_bytes() const {
    return engine::expert_ram_bytes(tensors());
}

bool Model::has_chat_template() const {
    return llama_model_chat_template(impl_->model.get(), nullptr) != nullptr;
}

common_chat_templates_inputs Model::Impl::template_inputs(const std::vector<Message> & messages) const {
    common_chat_templates_inputs inputs;
    for (const Message & message : messages) {
        common_chat_msg & msg = inputs.messages.emplace_back();
        msg.role = message.role;
        msg.content = message.content;
        msg.reasoning_content = message.thoughts;
    }
    inputs.chat_template_kwargs = params->common().default_template_kwargs;
    return inputs;
}

std::string Model::apply_chat_template(const std::vector<Message> & messages) const {
    const Subject subject(impl_->name);
    const BoundedWork bounded(ENDLESS_TEMPLATE);
    return impl_->render(impl_->template_inputs(messages)).prompt;
}

std::vector<int32_t> Model::tokenize(const std::string & text, bool parse_special) const {
    return engine::tokenize(impl_->vocab(), impl_->name, text, parse_special);
}

std::optional<int32_t> Model::bos_token() const {
    if (!llama_vocab_get_add_bos(impl_->vocab())) return std::nullopt;
    return llama_vocab_bos(impl_->vocab());
}

GenerateResult Model::generate(const std::string & prompt, int max_tokens, const SamplingOptions & sampling,
                               const OnText & on_text) {
    const auto start = Clock::now();
    impl_->forget();
    const double forget_ms = ms_since(start);
    GenerateResult result = generate_on(prompt, max_tokens, sampling, on_text);
    result.add_ms_before(forget_ms);
    return result;
}

GenerateResult Model::generate_on(const std::string & prompt, int max_tokens, const SamplingOptions & sampling,
                                  const OnText & on_text) {
    const auto start = Clock::now();
    std::vector<llama_token> tokens = tokenize(prompt, /*parse_special=*/true);
    if (tokens.empty()) fail_usage("the prompt is empty");
    if (tokens.size() >= n_ctx()) {
        fail("the prompt has {} tokens, but the context holds {} with the reply: shorten it{}", tokens.size(), n_ctx(),
             larger_context());
    }
    const double tokenize_ms = ms_since(start);
    GenerateResult result = impl_->produce(tokens, max_tokens, sampling, {}, on_text);
    result.add_ms_before(tokenize_ms);
    return result;
}

GenerateResult Model::generate(const TokenPrompt & prompt, int max_tokens, const SamplingOptions & sampling,
                               const OnText & on_text) {
    if (prompt.tokens.size() <= prompt.n_before) fail_usage("the prompt is empty");
    if (prompt.tokens.size() >= n_ctx())
        fail("{} tokens do not fit into a context of {} with the reply: take fewer{}", prompt.tokens.size(), n_ctx(),
             larger_context());
    if (prompt.n_before > 0 && !impl_->has_memory())
        fail("{}: keeps nothing of a text, so it cannot be measured at a depth", impl_->name);
    const Subject subject(impl_->name);
    const EndsWithinASecond soon;
    impl_->forget();
    impl_->prefill(prompt.tokens.data(), prompt.n_before);
    impl_->held.assign(prompt.tokens.begin(), prompt.tokens.begin() + static_cast<std::ptrdiff_t>(prompt.n_before));
    GenerateResult result = impl_->produce(prompt.tokens, max_tokens, sampling, {}, on_text);
    result.n_prompt_tokens -= result.n_reused_tokens;
    result.n_reused_tokens = 0;
    return result;
}

void GenerateResult::add_ms_before(double ms) {
    ttft_ms += ms;
    total_ms += ms;
    for (double & one : token_ms)
        one += ms;
}

GenerateResult Model::Impl::produce(const std::vector<llama_token> & tokens, int max_tokens,
                                    const SamplingOptions & sampling, const std::set<llama_token> & shown,
                                    const OnText & on_text) {
    const auto start = Clock::now();
    GenerateResult result;
    result.n_prompt_tokens = static_cast<int>(tokens.size());
    const Subject subject(name);
    const EndsWithinASecond soon;
    const common_sampler_ptr sampler = make_sampler(model.get(), params->common().sampling, sampling);

    const auto prefill_start = Clock::now();
    result.n_reused_tokens = static_cast<int>(bring(tokens));
    require_numbers();
    result.prefill_ms = ms_since(prefill_start);

    const size_t n_ctx = llama_n_ctx(context.get());
    const int limit = max_tokens > 0 ? max_tokens : std::numeric_limits<int>::max();
    const size_t n_most = std::min(static_cast<size_t>(limit), n_ctx - std::min(n_ctx, tokens.size()) + 1);
    result.token_ms.reserve(n_most);
    result.text.reserve(n_most * RESERVED_BYTES_PER_TOKEN);
    held.reserve(tokens.size() + n_most);  // so that each token finds its place
    std::string buffer(LONG_TOKEN_BYTES, '\0');
    Utf8Stream utf8;
    const auto whole_text = [&](llama_token token) {
        const std::string_view piece = token_text(vocab(), token, shown.contains(token), buffer);
        const NoAllocation promise;
        return utf8.push(piece);
    };
    const auto hand_out = [&](std::string_view text) {
        {
            const NoAllocation promise;
            result.text += text;
        }
        return text.empty() || !on_text || on_text(text);
    };
    const auto count = [&] {
        const NoAllocation promise;
        result.token_ms.push_back(ms_since(start));
        ++result.n_output_tokens;
    };
    result.stop_reason = StopReason::max_tokens;
    if (speculation) speculation->begin(held);
    std::vector<llama_token> next{common_sampler_sample(sampler.get(), context.get(), -1)};
    size_t n_taken = 0;  // of these
    common_sampler_accept(sampler.get(), next.front(), /*is_generated=*/true);
    while (result.n_output_tokens < limit) {
        const llama_token token = next[n_taken++];
        if (llama_vocab_is_eog(vocab(), token)) {
            result.stop_reason = StopReason::end_of_text;
            break;
        }
        const bool go_on = hand_out(whole_text(token));
        count();
        if (!go_on || interrupted()) {
            result.stop_reason = StopReason::stopped;
            break;
        }
        if (tokens.size() + result.token_ms.size() >= n_ctx) {
            result.stop_reason = StopReason::context_full;
            break;
        }
        if (result.n_output_tokens == limit) break;
        if (n_taken < next.size()) continue;
        const size_t n_left = std::min(static_cast<size_t>(limit - result.n_output_tokens),
                                       n_ctx - tokens.size() - result.token_ms.size());
        try {
            advance(token, sampler.get(), n_left, next);
            n_taken = 0;
        } catch (const Interrupted &) {
            if (!has_memory() || !can_go_back_to(static_cast<llama_pos>(held.size()))) forget();
            result.stop_reason = StopReason::stopped;
            break;
        }
    }
    hand_out(utf8.finish());
    if (speculation) result.speculation = speculation->report();
    result.total_ms = ms_since(start);
    result.ttft_ms = result.token_ms.empty() ? result.total_ms : result.token_ms.front();
    result.decode_ms = result.token_ms.empty() ? 0.0 : result.token_ms.back() - result.token_ms.front();
    return result;
}

Reply Model::reply(const std::vector<Message> & messages, int max_tokens, const SamplingOptions & sampling, bool thinks,
                   const OnReply & on_reply) {
    const Subject subject(impl_->name);
    common_chat_params params;
    Clock::time_point start;
    {
        const BoundedWork bounded(ENDLESS_TEMPLATE);
        impl_->chat_templates();  // a part of loading, whenever it happens
        start = Clock::now();
        common_chat_templates_inputs inputs = impl_->template_inputs(messages);
        inputs.reasoning_format = COMMON_REASONING_FORMAT_DEEPSEEK;
        inputs.enable_thinking = thinks;
        params = impl_->render(inputs);
    }
    const std::vector<llama_token> tokens = tokenize(params.prompt, /*parse_special=*/true);
    if (tokens.empty() || tokens.size() >= n_ctx())
        fail("the conversation has {} tokens, and the context holds {} with the reply: take some of it back{}",
             tokens.size(), n_ctx(), larger_context());
    const double before_ms = ms_since(start);
    ReplyReader reader(params);
    Reply reply;
    reply.figures =
        impl_->produce(tokens, max_tokens, sampling, special_tokens(impl_->vocab(), params.preserved_tokens),
                       [&](std::string_view text) { return reader.push(text, on_reply); });
    reply.figures.add_ms_before(before_ms);
    if (reader.ended_at_stop()) reply.figures.stop_reason = StopReason::end_of_text;
    const common_chat_msg & message = reader.finish(on_reply);
    reply.message = {"assistant", message.content, message.reasoning_content};
    return reply;
}

std::vector<float> Model::log_probabilities(const std::vector<int32_t> & tokens, size_t first) {
    if (tokens.size() > n_ctx())
        fail("{}: {} tokens do not fit into a context of {}", impl_->name, tokens.size(), n_ctx());
    const Subject subject(impl_->name);
    const EndsWithinASecond soon;
    const auto width = static_cast<size_t>(n_vocab());
    std::vector<float> rows;  // (n_tokens - first) x n_vocab
    rows.reserve((tokens.size() - std::min(first, tokens.size())) * width);
    impl_->forget();
    const size_t n_batch = llama_n_batch(impl_->context.get());
    llama_batch batch = llama_batch_init(static_cast<int>(n_batch), 0, 1);
    const std::unique_ptr<llama_batch, void (*)(llama_batch *)> guard(&batch,
                                                                      [](llama_batch * b) { llama_batch_free(*b); });
    for (size_t start = 0; start < tokens.size(); start += n_batch) {
        batch.n_tokens = static_cast<int>(std::min(n_batch, tokens.size() - start));
        for (int i = 0; i < batch.n_tokens; ++i) {
            batch.token[i] = tokens[start + static_cast<size_t>(i)];
            batch.pos[i] = static_cast<llama_pos>(start) + i;
            batch.n_seq_id[i] = 1;
            batch.seq_id[i][0] = 0;
            batch.logits[i] = start + static_cast<size_t>(i) >= first ? 1 : 0;
        }
        const LogCapture log;
        const int rc = llama_decode(impl_->context.get(), batch);
        check_interrupted();
        if (rc != 0)
            fail("{}: decoding failed at token {}: {}", impl_->name, start,
                 log.reason(fmt::format("llama_decode returned {}", rc)));
        for (int i = 0; i < batch.n_tokens; ++i) {
            if (batch.logits[i] == 0) continue;
            float * logits = llama_get_logits_ith(impl_->context.get(), i);
            log_softmax(logits, n_vocab());
            rows.insert(rows.end(), logits, logits + width);
        }
    }
    return rows;
}

std::vector<double> Model::log_probabilities_of(const std::vector<std::vector<int32_t>> & sequences,
                                                const std::vector<Probe> & probes) {
    const Subject subject(impl_->name);  // and no EndsWithinASecond: who asks many questions keeps what was answered
    if (!impl_->has_memory())
        fail("{}: looks ahead (a diffusion model), so that its tokens have no probabilities one after the other",
             impl_->name);
    if (!impl_->held.empty()) impl_->forget();
    if (!impl_->scorer) impl_->scorer = std::make_unique<SequenceScorer>(impl_->context.get(), impl_->name);
    return impl_->scorer->score(sequences, probes);
}

std::vector<LayerRouting> Model::take_routing() {
    return impl_->routing ? impl_->routing->take() : std::vector<LayerRouting>();
}

}  // namespace shimmy::engine

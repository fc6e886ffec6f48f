#include "engine/run/model.h"

#include "base/error.h"
#include "base/last_words.h"
#include "base/process/interrupt.h"
#include "base/text.h"
#include "engine/load/load_params.h"
#include "engine/load/log.h"
#include "engine/load/routing_recorder.h"
#include "engine/predict/fit.h"
#include "engine/run/expert_cache.h"
#include "engine/run/utf8.h"
#include "gguf/purpose.h"

#include "chat.h"
#include "ggml-backend.h"
#include "llama-ext.h"
#include "log.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

namespace shimmy::engine {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int PENALTY_WINDOW = 64;   // tokens the repeat penalty looks back on; llama.cpp's default
constexpr int N_WARMUP_TOKENS = 16;  // enough to take the matrix-matrix path of every backend
constexpr size_t MAX_REASON_CHARS = 300;

double ms_since(Clock::time_point start) {
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// llama.cpp's own order of samplers: penalties, top-k, top-p, min-p, temperature, draw.
llama_sampler_ptr make_sampler(const SamplingOptions & options, int n_vocab) {
    llama_sampler * chain = llama_sampler_chain_init(llama_sampler_chain_default_params());
    if (options.repeat_penalty != 1.0F) {
        llama_sampler_chain_add(
            chain, llama_sampler_init_penalties(n_vocab, PENALTY_WINDOW, options.repeat_penalty, 0.0F, 0.0F));
    }
    if (options.temperature <= 0.0F) {
        llama_sampler_chain_add(chain, llama_sampler_init_greedy());
        return llama_sampler_ptr(chain);
    }
    llama_sampler_chain_add(chain, llama_sampler_init_top_k(options.top_k));
    llama_sampler_chain_add(chain, llama_sampler_init_top_p(options.top_p, 1));
    llama_sampler_chain_add(chain, llama_sampler_init_min_p(options.min_p, 1));
    llama_sampler_chain_add(chain, llama_sampler_init_temp(options.temperature));
    llama_sampler_chain_add(chain, llama_sampler_init_dist(options.seed));
    return llama_sampler_ptr(chain);
}

std::string token_text(const llama_vocab * vocab, llama_token token) {
    std::string text(32, '\0');
    int n = llama_token_to_piece(vocab, token, text.data(), static_cast<int>(text.size()), 0, /*special=*/false);
    if (n < 0) {
        text.resize(static_cast<size_t>(-n));
        n = llama_token_to_piece(vocab, token, text.data(), static_cast<int>(text.size()), 0, false);
    }
    text.resize(static_cast<size_t>(std::max(0, n)));
    return text;
}

void require_text_model(const LoadOptions & options) {
    const gguf::GgufFile file(options.path);
    if (gguf::model_type(file) != gguf::ModelType::embedding) return;
    fail("{}: is an embedding model ({}), which writes no text: serve it with shimmy serve --embeddings",
         options.shown_name(), printable(file.metadata().find_string("general.architecture").value_or("")));
}

// In place: logits to natural-log probabilities.
void log_softmax(float * logits, int n) {
    const float max = *std::max_element(logits, logits + n);
    double sum = 0.0;
    for (int i = 0; i < n; ++i)
        sum += std::exp(static_cast<double>(logits[i] - max));
    const float log_sum = max + static_cast<float>(std::log(sum));
    for (int i = 0; i < n; ++i)
        logits[i] -= log_sum;
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
    return prefill_ms > 0.0 ? n_prompt_tokens * 1000.0 / prefill_ms : 0.0;
}

std::optional<double> GenerateResult::decode_tps() const {
    if (n_output_tokens < 2 || decode_ms <= 0.0) return std::nullopt;
    return (n_output_tokens - 1) * 1000.0 / decode_ms;
}

struct Model::Impl {
    std::unique_ptr<LoadParams> params;
    std::unique_ptr<RoutingRecorder> routing;  // null: not wanted. The context points to it
    llama_model_ptr model;
    llama_context_ptr context;
    common_chat_templates_ptr templates;  // null: the model has none, or one that cannot be read
    std::string template_error;           // why it cannot be read; runs without it go on
    std::string name;                     // of the model, for messages
    double load_ms = 0.0;

    const llama_vocab * vocab() const { return llama_model_get_vocab(model.get()); }

    // False for models that look ahead: they keep nothing of a text, and compute it anew for every token.
    bool has_memory() const { return llama_get_memory(context.get()) != nullptr; }

    void decode(const llama_token * tokens, int n_tokens);
    void prefill(const std::vector<llama_token> & tokens);
    void require_numbers();
    void warm_up();
    void load_chat_template();
};

void Model::Impl::decode(const llama_token * tokens, int n_tokens) {
    const LogCapture log;
    const int rc = llama_decode(context.get(), llama_batch_get_one(const_cast<llama_token *>(tokens), n_tokens));
    check_interrupted();  // an aborted decode returns an error of its own
    if (rc != 0)
        fail("{}: decoding {} tokens failed: {}", name, n_tokens,
             log.reason(fmt::format("llama_decode returned {}", rc)));
}

void Model::Impl::prefill(const std::vector<llama_token> & tokens) {
    const size_t n_batch = llama_n_batch(context.get());
    for (size_t start = 0; start < tokens.size(); start += n_batch) {
        decode(tokens.data() + start, static_cast<int>(std::min(n_batch, tokens.size() - start)));
    }
    llama_synchronize(context.get());
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
    prefill(tokens);
    decode(tokens.data(), 1);
    llama_synchronize(context.get());
    open_expert_cache(context.get());
}

void Model::Impl::load_chat_template() {
    const char * source = llama_model_chat_template(model.get(), nullptr);
    if (source == nullptr) return;
    common_log_set_verbosity_thold(LOG_LEVEL_OUTPUT);  // what is wrong with a template is said in the error
    try {
        const common_chat_template checked(source, "", "");  // llama.cpp's next call would lose the reason
        templates = common_chat_templates_init(model.get(), "");
    } catch (const std::exception & error) {
        template_error = printable(error.what(), MAX_REASON_CHARS);
    }
}

Model::Model(const LoadOptions & options) : impl_(std::make_unique<Impl>()) {
    impl_->name = options.shown_name();
    const Subject subject(impl_->name);
    const EndsWithinASecond soon;
    require_text_model(options);
    require_loadable(options);
    impl_->params = std::make_unique<LoadParams>(options, /*no_alloc=*/false);
    const auto start = Clock::now();
    impl_->model = impl_->params->load_model();
    if (options.record_routing) impl_->routing = std::make_unique<RoutingRecorder>();
    impl_->context = impl_->params->make_context(impl_->model.get(), impl_->routing.get());
    impl_->load_chat_template();
    if (options.warm_up) impl_->warm_up();
    take_routing();  // the warm-up's tokens are nobody's
    impl_->load_ms = ms_since(start);
}

Model::~Model() = default;

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

int Model::n_vocab() const {
    return llama_vocab_n_tokens(impl_->vocab());
}

MemoryUse Model::memory() const {
    return read_memory(impl_->context.get());
}

std::vector<TensorPlacement> Model::tensors() const {
    return read_tensors(impl_->model.get());
}

uint64_t Model::expert_ram_bytes() const {
    return engine::expert_ram_bytes(tensors());
}

bool Model::has_chat_template() const {
    return impl_->templates != nullptr || !impl_->template_error.empty();
}

std::string Model::apply_chat_template(const std::vector<Message> & messages) const {
    if (!impl_->template_error.empty())
        fail("{}: its chat template cannot be read: {}: give the whole prompt with --raw", impl_->name,
             impl_->template_error);
    if (!impl_->templates) fail("{}: has no chat template: give the whole prompt with --raw", impl_->name);
    const Subject subject(impl_->name);
    common_chat_templates_inputs inputs;
    for (const Message & message : messages) {
        common_chat_msg & msg = inputs.messages.emplace_back();
        msg.role = message.role;
        msg.content = message.content;
    }
    try {
        return common_chat_templates_apply(impl_->templates.get(), inputs).prompt;
    } catch (const std::exception & error) {
        fail("{}: its chat template failed: {}: give the whole prompt with --raw", impl_->name,
             printable(error.what(), MAX_REASON_CHARS));
    }
}

std::vector<int32_t> Model::tokenize(const std::string & text, bool parse_special) const {
    if (llama_vocab_type(impl_->vocab()) == LLAMA_VOCAB_TYPE_NONE)
        fail("{}: has no tokenizer, so no text can be given to it: convert the model again, with its tokenizer's files",
             impl_->name);
    const auto n_bytes = static_cast<int>(text.size());
    std::vector<int32_t> tokens(text.size() + 8);  // a token per byte, BOS and EOS at most
    int n = 0;
    try {
        const LogCapture log;
        n = llama_tokenize(impl_->vocab(), text.c_str(), n_bytes, tokens.data(), static_cast<int>(tokens.size()),
                           /*add_special=*/true, parse_special);
    } catch (const std::exception & error) {  // a vocabulary that lacks bytes, or the tokens that begin and end a text
        fail("{}: the text cannot be tokenized: its vocabulary is incomplete ({}): convert the model again",
             impl_->name, printable(error.what(), MAX_REASON_CHARS));
    }
    if (n < 0) fail("{}: the text could not be tokenized ({} tokens needed)", impl_->name, -n);
    tokens.resize(static_cast<size_t>(n));
    const bool known = std::all_of(tokens.begin(), tokens.end(), [&](int32_t token) { return token >= 0; });
    if (!known)
        fail(
            "{}: its vocabulary has no token for a part of the text: it does not fit its tokenizer; convert the model "
            "again",
            impl_->name);
    return tokens;
}

std::optional<int32_t> Model::bos_token() const {
    if (!llama_vocab_get_add_bos(impl_->vocab())) return std::nullopt;
    return llama_vocab_bos(impl_->vocab());
}

GenerateResult Model::generate(const std::string & prompt, int max_tokens, const SamplingOptions & sampling,
                               const OnText & on_text) {
    const auto start = Clock::now();
    std::vector<llama_token> tokens = tokenize(prompt, /*parse_special=*/true);
    if (tokens.empty()) fail_usage("the prompt is empty");
    if (tokens.size() >= n_ctx()) {
        fail("the prompt has {} tokens, but the context holds {} with the reply: shorten it or raise --ctx",
             tokens.size(), n_ctx());
    }
    GenerateResult result;
    result.n_prompt_tokens = static_cast<int>(tokens.size());
    if (impl_->has_memory()) llama_memory_clear(llama_get_memory(impl_->context.get()), true);
    const Subject subject(impl_->name);
    const EndsWithinASecond soon;
    const llama_sampler_ptr sampler = make_sampler(sampling, n_vocab());

    const auto prefill_start = Clock::now();
    impl_->prefill(tokens);
    impl_->require_numbers();
    result.prefill_ms = ms_since(prefill_start);

    Utf8Stream utf8;
    const auto emit = [&](const std::string & text) {
        result.text += text;
        return text.empty() || !on_text || on_text(text);
    };
    result.stop_reason = StopReason::max_tokens;
    while (result.n_output_tokens < max_tokens) {
        const llama_token token = llama_sampler_sample(sampler.get(), impl_->context.get(), -1);
        if (llama_vocab_is_eog(impl_->vocab(), token)) {
            result.stop_reason = StopReason::end_of_text;
            break;
        }
        const bool go_on = emit(utf8.push(token_text(impl_->vocab(), token)));
        result.token_ms.push_back(ms_since(start));
        ++result.n_output_tokens;
        if (!go_on || interrupted()) {
            result.stop_reason = StopReason::stopped;
            break;
        }
        tokens.push_back(token);
        if (tokens.size() >= n_ctx()) {
            result.stop_reason = StopReason::context_full;
            break;
        }
        if (result.n_output_tokens == max_tokens) break;
        impl_->has_memory() ? impl_->decode(&token, 1) : impl_->prefill(tokens);
    }
    emit(utf8.finish());
    result.total_ms = ms_since(start);
    result.ttft_ms = result.token_ms.empty() ? result.total_ms : result.token_ms.front();
    result.decode_ms = result.token_ms.empty() ? 0.0 : result.token_ms.back() - result.token_ms.front();
    return result;
}

std::vector<float> Model::log_probabilities(const std::vector<int32_t> & tokens, size_t first) {
    if (tokens.size() > n_ctx())
        fail("{}: {} tokens do not fit into a context of {}", impl_->name, tokens.size(), n_ctx());
    const Subject subject(impl_->name);
    const EndsWithinASecond soon;
    const auto width = static_cast<size_t>(n_vocab());
    std::vector<float> rows;  // (n_tokens - first) x n_vocab
    rows.reserve((tokens.size() - std::min(first, tokens.size())) * width);
    if (impl_->has_memory()) llama_memory_clear(llama_get_memory(impl_->context.get()), true);
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

std::vector<LayerRouting> Model::take_routing() {
    return impl_->routing ? impl_->routing->take() : std::vector<LayerRouting>();
}

}  // namespace shimmy::engine

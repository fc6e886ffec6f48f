#include "engine/run/model.h"

#include "base/error.h"
#include "base/last_words.h"
#include "base/log_sum_exp.h"
#include "base/process/interrupt.h"
#include "base/stopwatch.h"
#include "engine/load/load_params.h"
#include "engine/load/routing_recorder.h"
#include "engine/predict/companions.h"
#include "engine/predict/estimate.h"
#include "engine/predict/fit.h"
#include "engine/run/answer_writer.h"
#include "engine/run/chat_template.h"
#include "engine/run/held_context.h"
#include "engine/run/reply_reader.h"
#include "engine/run/tokens.h"
#include "engine/score/logit_rows.h"
#include "engine/score/sequence_scorer.h"
#include "engine/speculate/speculation.h"
#include "engine/vision/projector.h"

#include <algorithm>
#include <set>
#include <span>

namespace shimmy::engine {

struct Model::Impl {
    PlacementChoice placement;
    MemoryUse companions;
    std::unique_ptr<LoadParams> params;
    std::unique_ptr<RoutingRecorder> routing;  // null: not wanted. The context points to it
    llama_model_ptr model;
    std::unique_ptr<HeldContext> context;
    std::unique_ptr<Projector> projector;  // null: none
    std::unique_ptr<ChatTemplate> chat_template;
    std::unique_ptr<Speculation> speculation;  // null: none
    std::unique_ptr<SequenceScorer> scorer;    // null: never asked for
    std::string name;                          // of the model, for messages
    double load_ms = 0.0;
    bool measures_speculation = false;

    const llama_vocab * vocab() const { return llama_model_get_vocab(model.get()); }
    void load(const LoadOptions & placed_options);
    void unload();
    // The context, for anything but scoring.
    HeldContext & take_context() {
        if (scorer) scorer->forget();
        return *context;
    }
    // Samplers for the answer to a prompt, which may think as much as the user's llama_args say.
    common_params_sampling sampling_for(const std::string & prompt);
    void require_projector() const;
    PicturedTokens tokens_of(const PicturePrompt & prompt);
    // The answer to `tokens`. `shown`: special tokens that are text.
    GenerateResult answer(const PicturedTokens & tokens, int max_tokens, const common_params_sampling & samplers,
                          const SamplingOptions & sampling, const std::set<llama_token> & shown,
                          const OnText & on_text);
    // The same of a text, behind what the context holds of it. `room`: what to do if it does not fit.
    GenerateResult answer_to(const PicturePrompt & prompt, int max_tokens, const SamplingOptions & sampling,
                             const OnText & on_text, const std::string & room);
};

Model::Model(const LoadOptions & wanted) : impl_(std::make_unique<Impl>()) {
    impl_->name = wanted.shown_name();
    const Subject subject(impl_->name);
    const EndsWithinASecond soon;
    LoadOptions options = wanted;
    impl_->measures_speculation = options.measures_speculation;
    require_text_model(options);
    require_possible_speculation(options);
    impl_->placement = load_placed(options, [&](const PlacementChoice & choice) {
        try {
            impl_->load(placed(options, choice));
        } catch (...) {
            impl_->unload();  // its memory is free for another placement
            throw;
        }
    });
}

void Model::Impl::load(const LoadOptions & options) {
    params = std::make_unique<LoadParams>(options, /*no_alloc=*/false);
    companions = has_companions(params->common()) ? companion_memory(options) : MemoryUse();
    const Stopwatch since;
    model = params->load_model();
    if (options.record_routing) routing = std::make_unique<RoutingRecorder>();
    context =
        std::make_unique<HeldContext>(params->make_context(model.get(), routing.get()), name, params->mapped_files());
    projector = Projector::load(*params, model.get());
    chat_template = std::make_unique<ChatTemplate>(model.get(), name, params->common().default_template_kwargs,
                                                   projector ? projector->mark() : "");
    speculation = Speculation::make(options, *params, model.get(), context->get());
    if (speculation) context->set_follower(speculation->follower());
    if (options.warm_up) context->warm_up();
    if (routing) routing->take();  // the warm-up's tokens are nobody's
    load_ms = since.ms();
}

// What a load that failed has left.
void Model::Impl::unload() {
    speculation.reset();
    projector.reset();
    chat_template.reset();
    context.reset();
    model.reset();
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
    return llama_n_ctx(impl_->context->get());
}

double Model::load_ms() const {
    return impl_->load_ms;
}

std::string Model::why_no_speculation() const {
    if (!impl_->measures_speculation || impl_->speculation) return "";
    return "speculation off: the model cannot take tokens back";
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
    MemoryUse use = read_memory(impl_->context->get());
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
    return impl_->chat_template->exists();
}

bool Model::sees_pictures() const {
    return impl_->projector != nullptr;
}

std::string Model::picture_mark() const {
    return impl_->projector ? impl_->projector->mark() : "";
}

void Model::Impl::require_projector() const {
    if (!projector) fail_usage("{}: sees no pictures without its projector: add --mmproj FILE", name);
}

std::string Model::apply_chat_template(const std::vector<Message> & messages) const {
    const Subject subject(impl_->name);
    for (const Message & message : messages)
        if (!message.images.empty()) impl_->require_projector();
    return impl_->chat_template->render(messages);
}

std::vector<int32_t> Model::tokenize(const std::string & text, bool parse_special) const {
    return engine::tokenize(impl_->vocab(), impl_->name, text, parse_special);
}

std::optional<int32_t> Model::bos_token() const {
    if (!llama_vocab_get_add_bos(impl_->vocab())) return std::nullopt;
    return llama_vocab_bos(impl_->vocab());
}

PicturedTokens Model::Impl::tokens_of(const PicturePrompt & prompt) {
    if (prompt.images.empty()) return {engine::tokenize(vocab(), name, prompt.text, /*parse_special=*/true), {}};
    require_projector();
    PicturedTokens tokens = projector->tokenize(prompt.text, prompt.images);
    if (tokens.pictures.back().end() == tokens.tokens.size()) fail_usage("no text stands behind the last picture");
    return tokens;
}

// llama.cpp's sampler ends thoughts that are too long, once it knows the marks around them, which the template has; and
// whether the prompt has begun them.
common_params_sampling Model::Impl::sampling_for(const std::string & prompt) {
    common_params_sampling samplers = params->common().sampling;
    if (samplers.reasoning_budget_tokens < 0 || !chat_template->exists()) return samplers;
    const common_chat_params marks = chat_template->render_for_reply({{"user", "a"}}, /*thinks=*/true);
    if (marks.thinking_start_tag.empty() || marks.thinking_end_tags.empty()) return samplers;
    const auto tokens_of_mark = [&](const std::string & text) {
        return common_tokenize(vocab(), text, /*add_special=*/false, /*parse_special=*/true);
    };
    samplers.reasoning_budget_start = tokens_of_mark(marks.thinking_start_tag);
    for (const std::string & tag : marks.thinking_end_tags)
        samplers.reasoning_budget_end.push_back(tokens_of_mark(tag));
    samplers.reasoning_budget_forced =
        tokens_of_mark(samplers.reasoning_budget_message + marks.thinking_end_tags.front());
    // Up to the mark: llama.cpp takes what stands behind it for a thought, or for the end that it is about to write.
    const size_t begun = marks.generation_prompt.rfind(marks.thinking_start_tag);
    if (begun != std::string::npos && prompt.ends_with(marks.generation_prompt))
        samplers.generation_prompt = marks.generation_prompt.substr(0, begun + marks.thinking_start_tag.size());
    return samplers;
}

GenerateResult Model::Impl::answer(const PicturedTokens & tokens, int max_tokens,
                                   const common_params_sampling & samplers, const SamplingOptions & sampling,
                                   const std::set<llama_token> & shown, const OnText & on_text) {
    const Subject subject(name);
    const EndsWithinASecond soon;
    // Drafts are made from tokens of text.
    Speculation * drafts = tokens.pictures.empty() ? speculation.get() : nullptr;
    AnswerWriter writer(take_context(), drafts, samplers, sampling);
    return writer.write(tokens, projector.get(), max_tokens, shown, on_text);
}

GenerateResult Model::Impl::answer_to(const PicturePrompt & prompt, int max_tokens, const SamplingOptions & sampling,
                                      const OnText & on_text, const std::string & room) {
    const Stopwatch tokenizing;
    const PicturedTokens tokens = tokens_of(prompt);
    if (tokens.tokens.empty()) fail_usage("the prompt is empty");
    if (tokens.n_cells() >= context->n_ctx()) {
        fail("the prompt has {} tokens, but the context holds {} with the reply: shorten it{}", tokens.n_cells(),
             context->n_ctx(), room);
    }
    const common_params_sampling samplers = sampling_for(prompt.text);
    const double tokenize_ms = tokenizing.ms();
    GenerateResult result = answer(tokens, max_tokens, samplers, sampling, {}, on_text);
    result.add_ms_before(tokenize_ms);
    return result;
}

GenerateResult Model::generate(const PicturePrompt & prompt, int max_tokens, const SamplingOptions & sampling,
                               const OnText & on_text) {
    const Stopwatch forgetting;
    impl_->take_context().forget();
    const double forget_ms = forgetting.ms();
    GenerateResult result = impl_->answer_to(prompt, max_tokens, sampling, on_text, larger_context());
    result.add_ms_before(forget_ms);
    return result;
}

GenerateResult Model::generate(const std::string & prompt, int max_tokens, const SamplingOptions & sampling,
                               const OnText & on_text) {
    return generate(PicturePrompt{prompt, {}}, max_tokens, sampling, on_text);
}

GenerateResult Model::generate_on(const std::string & prompt, int max_tokens, const SamplingOptions & sampling,
                                  const OnText & on_text) {
    return impl_->answer_to({prompt, {}}, max_tokens, sampling, on_text, larger_context());
}

GenerateResult Model::generate(const TokenPrompt & prompt, int max_tokens, const SamplingOptions & sampling,
                               const OnText & on_text) {
    if (prompt.tokens.size() <= prompt.n_before) fail_usage("the prompt is empty");
    if (prompt.tokens.size() >= n_ctx())
        fail("{} tokens do not fit into a context of {} with the reply: take fewer{}", prompt.tokens.size(), n_ctx(),
             larger_context());
    if (prompt.n_before > 0 && !impl_->context->has_memory())
        fail("{}: keeps nothing of a text, so it cannot be measured at a depth", impl_->name);
    const Subject subject(impl_->name);
    const EndsWithinASecond soon;
    HeldContext & context = impl_->take_context();
    context.forget();
    if (prompt.n_before > 0) context.bring(std::span(prompt.tokens).first(prompt.n_before));
    GenerateResult result =
        impl_->answer({prompt.tokens, {}}, max_tokens, impl_->params->common().sampling, sampling, {}, on_text);
    result.n_prompt_tokens -= result.n_reused_tokens;
    result.n_reused_tokens = 0;
    return result;
}

Reply Model::reply(const std::vector<Message> & messages, int max_tokens, const SamplingOptions & sampling, bool thinks,
                   const OnReply & on_reply) {
    const Subject subject(impl_->name);
    impl_->chat_template->read();  // a part of loading, whenever it happens
    const Stopwatch preparing;
    const common_chat_params params = impl_->chat_template->render_for_reply(messages, thinks);
    PicturePrompt prompt{params.prompt, {}};
    for (const Message & message : messages)
        prompt.images.insert(prompt.images.end(), message.images.begin(), message.images.end());
    const PicturedTokens tokens = impl_->tokens_of(prompt);
    if (tokens.tokens.empty() || tokens.n_cells() >= n_ctx())
        fail("the conversation has {} tokens, and the context holds {} with the reply: take some of it back{}",
             tokens.n_cells(), n_ctx(), larger_context());
    const common_params_sampling samplers = impl_->sampling_for(params.prompt);
    const double before_ms = preparing.ms();
    ReplyReader reader(params);
    Reply reply;
    reply.figures =
        impl_->answer(tokens, max_tokens, samplers, sampling, special_tokens(impl_->vocab(), params.preserved_tokens),
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
    std::vector<float> rows;  // (n_tokens - first) x n_vocab
    rows.reserve((tokens.size() - std::min(first, tokens.size())) * static_cast<size_t>(n_vocab()));
    HeldContext & context = impl_->take_context();
    context.forget();
    for_each_row(context.get(), impl_->name, tokens, first, llama_n_batch(context.get()),
                 [&](size_t /*index*/, std::span<const float> logits) {
                     const auto log_sum = static_cast<float>(log_sum_exp(logits));
                     for (const float logit : logits)
                         rows.push_back(logit - log_sum);
                     return true;
                 });
    return rows;
}

std::vector<double> Model::log_probabilities_of(const std::vector<std::vector<int32_t>> & sequences,
                                                const std::vector<Probe> & probes) {
    const Subject subject(impl_->name);  // and no EndsWithinASecond: who asks many questions keeps what was answered
    HeldContext & context = *impl_->context;
    if (!context.has_memory())
        fail("{}: looks ahead (a diffusion model), so that its tokens have no probabilities one after the other",
             impl_->name);
    if (!context.tokens().empty()) context.forget();
    if (!impl_->scorer) impl_->scorer = std::make_unique<SequenceScorer>(context.get(), impl_->name);
    return impl_->scorer->score(sequences, probes);
}

std::vector<LayerRouting> Model::take_routing() {
    return impl_->routing ? impl_->routing->take() : std::vector<LayerRouting>();
}

}  // namespace shimmy::engine

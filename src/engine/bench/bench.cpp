#include "engine/bench/bench.h"

#include "base/embed.h"
#include "base/error.h"
#include "base/last_words.h"
#include "base/process/interrupt.h"
#include "base/stopwatch.h"
#include "engine/experts/expert_cache.h"
#include "engine/llama/log.h"
#include "engine/load/load_params.h"
#include "engine/predict/fit.h"
#include "engine/run/tokens.h"
#include "gguf/model_info.h"
#include "gguf/purpose.h"

#include "llama.h"

#include <algorithm>

SHIMMY_EMBED(shimmy::engine, bench_text, SHIMMY_BENCH_TEXT)

namespace shimmy::engine {

namespace {

LoadOptions with_context(LoadOptions options, uint32_t n_ctx) {
    options.n_ctx = std::max(options.n_ctx, n_ctx);
    return options;
}

// One test's context: what each sequence has computed, and the part of the text that each takes.
class BenchContext {
public:
    BenchContext(const LoadOptions & options, llama_model * model, const std::vector<llama_token> & text)
        : name_(options.shown_name()),
          text_(text),
          n_parallel_(options.n_parallel),
          params_(options, /*no_alloc=*/false),
          context_(params_.make_context(model)),
          batch_(llama_batch_init(static_cast<int32_t>(llama_n_batch(context_.get())), 0, 1)),
          first_(text[0]),
          first_is_special_(llama_vocab_get_add_bos(llama_model_get_vocab(model))) {
        if (llama_get_memory(context_.get()) == nullptr) fail("{}: has no memory of a text to measure with", name_);
    }
    ~BenchContext() { llama_batch_free(batch_); }
    BenchContext(const BenchContext &) = delete;
    BenchContext & operator=(const BenchContext &) = delete;

    void clear() {
        llama_memory_clear(llama_get_memory(context_.get()), false);
        position_ = 0;
    }

    // `n` tokens of every sequence, in batches. `at`: where in the text.
    void prefill(int n, size_t at) {
        const auto capacity = static_cast<int>(llama_n_batch(context_.get()));
        for (uint32_t seq = 0; seq < n_parallel_; ++seq) {
            for (int i = 0; i < n; ++i) {
                if (batch_.n_tokens == capacity) decode();
                add(seq, position_ + i, at + static_cast<size_t>(i), i + 1 == n);
            }
            // llama-bench cuts a prompt, not the prompts of several sequences, into batches.
            if (n_parallel_ == 1) decode();
        }
        decode();
        llama_synchronize(context_.get());
        position_ += n;
    }

    // `n` tokens of every sequence, each from the result of the one before.
    void generate(int n, size_t at) {
        for (int i = 0; i < n; ++i) {
            for (uint32_t seq = 0; seq < n_parallel_; ++seq)
                add(seq, position_, at + static_cast<size_t>(i), /*wants_result=*/true);
            decode();
            llama_synchronize(context_.get());
            ++position_;
        }
    }

    // Of all sequences, so that a depth is computed once.
    std::vector<std::vector<uint8_t>> state() {
        std::vector<std::vector<uint8_t>> states;
        for (uint32_t seq = 0; seq < n_parallel_; ++seq) {
            const auto id = static_cast<llama_seq_id>(seq);
            auto & bytes = states.emplace_back(llama_state_seq_get_size(context_.get(), id));
            llama_state_seq_get_data(context_.get(), bytes.data(), bytes.size(), id);
        }
        return states;
    }
    bool restore(const std::vector<std::vector<uint8_t>> & states, int n_tokens) {
        for (uint32_t seq = 0; seq < n_parallel_; ++seq) {
            const auto & bytes = states[seq];
            const auto id = static_cast<llama_seq_id>(seq);
            if (llama_state_seq_set_data(context_.get(), bytes.data(), bytes.size(), id) == 0) return false;
        }
        position_ = n_tokens;
        return true;
    }

    void open_cache() { open_expert_cache(context_.get()); }

private:
    // Sequences read different parts of the text. A context begins with the token that begins a text.
    llama_token token(uint32_t seq, int position, size_t at) const {
        if (position == 0 && first_is_special_) return first_;
        return text_[(at + seq * (text_.size() / n_parallel_)) % text_.size()];
    }

    void add(uint32_t seq, int position, size_t at, bool wants_result) {
        const int i = batch_.n_tokens++;
        batch_.token[i] = token(seq, position, at);
        batch_.pos[i] = position;
        batch_.n_seq_id[i] = 1;
        batch_.seq_id[i][0] = static_cast<llama_seq_id>(seq);
        batch_.logits[i] = wants_result ? 1 : 0;
    }

    void decode() {
        if (batch_.n_tokens == 0) return;
        const LogCapture log;
        batch_.logits[batch_.n_tokens - 1] = 1;  // as llama_batch_get_one, which llama-bench uses
        const int rc = llama_decode(context_.get(), batch_);
        check_interrupted();
        if (rc != 0)
            fail("{}: decoding {} tokens failed: {}", name_, batch_.n_tokens,
                 log.reason(fmt::format("llama_decode returned {}", rc)));
        batch_.n_tokens = 0;
    }

    std::string name_;
    const std::vector<llama_token> & text_;
    uint32_t n_parallel_;
    LoadParams params_;
    llama_context_ptr context_;
    llama_batch batch_;
    llama_token first_;
    bool first_is_special_;
    int position_ = 0;  // tokens that each sequence holds
};

}  // namespace

std::string BenchTest::name() const {
    std::string text;
    if (n_prompt > 0) text = fmt::format("pp{}", n_prompt);
    if (n_gen > 0) text += fmt::format("{}tg{}", text.empty() ? "" : "+", n_gen);
    return n_depth > 0 ? fmt::format("{} @ d{}", text, n_depth) : text;
}

double BenchSample::tps(const BenchTest & test, uint32_t n_parallel) const {
    return n_parallel * (test.n_prompt + test.n_gen) * 1000.0 / (prompt_ms + gen_ms);
}

struct Bench::Impl {
    LoadOptions options;
    PlacementChoice placement;
    std::unique_ptr<LoadParams> params;
    llama_model_ptr model;
    std::vector<llama_token> text;
    double load_ms = 0.0;
    // What the context held at the depth of the test before.
    int depth = 0;
    std::vector<std::vector<uint8_t>> depth_state;

    void fill(BenchContext & context, int n_depth);
};

Bench::Bench(const LoadOptions & wanted, const std::vector<BenchTest> & tests, const std::string & text)
    : impl_(std::make_unique<Impl>()) {
    const auto longest = std::max_element(
        tests.begin(), tests.end(), [](const BenchTest & a, const BenchTest & b) { return a.n_ctx() < b.n_ctx(); });
    impl_->options = wanted;
    require_text_model(impl_->options);
    if (gguf::looks_ahead(impl_->options.open_file()))
        fail("{}: looks ahead, so it has no prefill and decode to measure", wanted.shown_name());
    const LoadOptions largest = with_context(wanted, longest->n_ctx());
    const auto n_trained = static_cast<uint64_t>(gguf::read_model_info(wanted.path).n_ctx_train);
    if (longest->n_ctx() > n_trained)
        fail_usage("{}: {} needs a context of {} tokens, and the model was trained for {}: measure fewer tokens",
                   wanted.shown_name(), longest->name(), longest->n_ctx(), n_trained);
    const Subject subject(wanted.shown_name());
    const EndsWithinASecond soon;
    impl_->placement = require_loadable(largest);
    impl_->options = placed(impl_->options, impl_->placement);
    impl_->params = std::make_unique<LoadParams>(impl_->options, /*no_alloc=*/false);
    const Stopwatch load;
    impl_->model = impl_->params->load_model();
    impl_->load_ms = load.ms();
    impl_->text = tokenize(llama_model_get_vocab(impl_->model.get()), wanted.shown_name(), text, false);
    if (impl_->text.size() < wanted.n_parallel) fail_usage("the text to measure on is too short");
}

Bench::~Bench() = default;

const PlacementChoice & Bench::placement() const {
    return impl_->placement;
}

const Device & Bench::device() const {
    return impl_->params->device();
}

int Bench::n_threads() const {
    return impl_->params->n_threads();
}

double Bench::load_ms() const {
    return impl_->load_ms;
}

uint64_t Bench::expert_ram_bytes() const {
    return engine::expert_ram_bytes(read_tensors(impl_->model.get()));
}

void Bench::Impl::fill(BenchContext & context, int n_depth) {
    context.clear();
    if (n_depth == 0 || (n_depth == depth && context.restore(depth_state, n_depth))) return;
    context.prefill(n_depth, 0);
    depth = n_depth;
    depth_state = context.state();
}

std::vector<BenchSample> Bench::run(const BenchTest & test, int n_repeats, const std::function<void()> & on_sample) {
    const Subject subject(impl_->options.shown_name());
    const EndsWithinASecond soon;
    BenchContext context(with_context(impl_->options, test.n_ctx()), impl_->model.get(), impl_->text);
    if (impl_->options.warm_up) {
        if (test.n_prompt > 0) context.prefill(test.n_prompt, 0);
        context.clear();
        if (test.n_gen > 0) context.generate(1, 0);
        context.open_cache();
    }
    std::vector<BenchSample> samples;
    for (int i = 0; i < n_repeats; ++i) {
        impl_->fill(context, test.n_depth);
        // Every repetition takes other tokens, so that no cache is measured on what it has just seen.
        const size_t at = static_cast<size_t>(test.n_depth) +
                          static_cast<size_t>(i) * static_cast<size_t>(test.n_prompt + test.n_gen);
        BenchSample & sample = samples.emplace_back();
        const Stopwatch prefill;
        if (test.n_prompt > 0) context.prefill(test.n_prompt, at);
        sample.prompt_ms = test.n_prompt > 0 ? prefill.ms() : 0.0;
        const Stopwatch decode;
        if (test.n_gen > 0) context.generate(test.n_gen, at + static_cast<size_t>(test.n_prompt));
        sample.gen_ms = test.n_gen > 0 ? decode.ms() : 0.0;
        if (on_sample) on_sample();
    }
    return samples;
}

}  // namespace shimmy::engine

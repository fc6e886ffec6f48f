// A model loaded with a placement, and text generated from it. The only way from the program to libllama's
// inference: no llama.cpp or ggml type appears here.
#pragma once

#include "engine/device/device.h"
#include "engine/load/load_options.h"
#include "engine/load/memory.h"
#include "engine/load/routing.h"
#include "engine/predict/choose_placement.h"
#include "engine/run/answer.h"
#include "engine/run/sampling_options.h"
#include "engine/score/probe.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace shimmy::engine {

// A prompt as tokens. The first `n_before` are in the context before the clock starts.
struct TokenPrompt {
    std::vector<int32_t> tokens;
    size_t n_before = 0;
};

// A prompt with pictures: `text` has Model::picture_mark() for each of them.
struct PicturePrompt {
    std::string text;
    std::vector<Image> images;
};

class Model {
public:
    // Throws Error with the reason (missing, not a GGUF, truncated, unknown architecture, does not fit, a context
    // beyond the model's, --cpu-moe without experts).
    explicit Model(const LoadOptions & options);
    ~Model();
    Model(const Model &) = delete;
    Model & operator=(const Model &) = delete;

    // As it was asked for, or chosen where that was left to this program (then with a reason, for people).
    const PlacementChoice & placement() const;
    const Device & device() const;
    int n_threads() const;
    uint32_t n_ctx() const;
    double load_ms() const;
    // Why there is no speculation though it was to be measured whether it pays; empty: there is, or it was not.
    std::string why_no_speculation() const;
    // For errors about a context that is too small: how to get a larger one, or that there is none.
    std::string larger_context() const;

    MemoryUse memory() const;
    std::vector<TensorPlacement> tensors() const;
    // Bytes of routed experts in RAM. Above 0 in a baseline on a GPU means that it is none: llama.cpp leaves a tensor
    // that the device cannot hold or compute on the CPU without a word.
    uint64_t expert_ram_bytes() const;

    // Whether messages and prompts may have pictures: with a projector (--mmproj).
    bool sees_pictures() const;
    std::string picture_mark() const;  // empty without

    // The messages as the model's own chat template renders them, ready for a reply, with a mark for each picture.
    // Throws Error if the model has none, or for pictures that it cannot see.
    std::string apply_chat_template(const std::vector<Message> & messages) const;
    bool has_chat_template() const;

    std::vector<int32_t> tokenize(const std::string & text, bool parse_special) const;
    // The token that begins a text; none where the model was trained without one.
    std::optional<int32_t> bos_token() const;

    // Starts from an empty context. `prompt` is complete text: rendered by the template, or raw. The same seed on
    // the same device gives the same text. `max_tokens` 0: until the answer ends or the context is full.
    GenerateResult generate(const std::string & prompt, int max_tokens, const SamplingOptions & sampling,
                            const OnText & on_text = {});
    // The same, but what the context holds of the prompt's beginning from the call before is not computed again.
    GenerateResult generate_on(const std::string & prompt, int max_tokens, const SamplingOptions & sampling,
                               const OnText & on_text = {});

    // The same with pictures, which its figures count as tokens.
    GenerateResult generate(const PicturePrompt & prompt, int max_tokens, const SamplingOptions & sampling,
                            const OnText & on_text = {});

    // The same of tokens. The figures are of those behind `n_before`. Throws Error for a model that keeps nothing of a
    // text, if there are any before.
    GenerateResult generate(const TokenPrompt & prompt, int max_tokens, const SamplingOptions & sampling,
                            const OnText & on_text = {});

    // The assistant's answer to a conversation, by the model's own chat template. What the context holds of it from the
    // turn before is not computed again. `max_tokens` as above; `thinks`: for models that can be told not to.
    // Throws Error if there is no template, or the conversation does not fit the context.
    Reply reply(const std::vector<Message> & messages, int max_tokens, const SamplingOptions & sampling, bool thinks,
                const OnReply & on_reply = {});

    // Natural-log probabilities over the vocabulary after each token of `tokens` from `first` on: row i predicts token
    // first + i + 1. `tokens.size() - first` rows of n_vocab floats, row-major. For comparing placements and
    // quantizations.
    std::vector<float> log_probabilities(const std::vector<int32_t> & tokens, size_t first = 0);
    int n_vocab() const;

    // One natural-log probability per probe. What the sequences begin with is computed once for all of them, and for
    // the next call too if that begins alike; LoadOptions::n_sharing of them are computed together, as far as they
    // fit into the context. Throws Error for a sequence that does not fit alone, and for a model that looks ahead or
    // whose predictions are no numbers.
    std::vector<double> log_probabilities_of(const std::vector<std::vector<int32_t>> & sequences,
                                             const std::vector<Probe> & probes);

    // The router's choices in all that was computed since the last call, by layer; empty without
    // LoadOptions::record_routing, and for a model without experts.
    std::vector<LayerRouting> take_routing();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace shimmy::engine

// A model loaded with a placement, and text generated from it. The only way from the program to libllama's
// inference: no llama.cpp or ggml type appears here.
#pragma once

#include "engine/device.h"
#include "engine/memory.h"
#include "engine/placement.h"
#include "engine/routing.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace shimmy::engine {

struct LoadOptions {
    std::string path;  // GGUF file; of a split model, its first part
    Placement placement;
    std::string device;       // as find_device takes it
    int n_threads = 0;        // 0: one per physical core
    uint32_t n_ctx = 0;       // tokens of context; 0: 4096, or what the model was trained for if that is less
    uint32_t n_parallel = 1;  // sequences at once, each with a context of its own
    uint32_t n_batch = 2048;
    uint32_t n_ubatch = 512;
    bool warm_up = true;  // run a few tokens once, so that the first request is not charged for kernels being compiled
    bool check_fit = true;        // refuse, with numbers, what would not fit; costs a second read of the header
    bool record_routing = false;  // for take_routing(); slows decoding
};

struct SamplingOptions {
    float temperature = 0.7F;  // 0: greedy
    float top_p = 0.9F;
    int top_k = 40;
    float min_p = 0.05F;
    float repeat_penalty = 1.0F;  // 1: off
    uint32_t seed = 42;
};

struct Message {
    std::string role;  // "system", "user", "assistant"
    std::string content;
};

enum class StopReason { end_of_text, max_tokens, context_full, stopped };
const char * to_string(StopReason reason);

// Times are wall-clock ms. TTFT runs from the call of generate() (request accepted; the model is already loaded) to
// the first token handed out, so it holds tokenization, prefill and the first sample.
struct GenerateResult {
    std::string text;
    StopReason stop_reason = StopReason::end_of_text;
    int n_prompt_tokens = 0;
    int n_output_tokens = 0;
    double ttft_ms = 0.0;
    double prefill_ms = 0.0;
    double decode_ms = 0.0;  // first token to last
    double total_ms = 0.0;
    std::vector<double> token_ms;  // time of each output token since the call

    double prefill_tps() const;                // prompt tokens per second of prefill
    std::optional<double> decode_tps() const;  // (n_output - 1) / decode time; none for fewer than two tokens
};

// Called with each piece of text, always whole UTF-8 sequences. Returning false stops the generation.
using OnText = std::function<bool(std::string_view text)>;

class Model {
public:
    // Throws Error with the reason (missing, not a GGUF, truncated, unknown architecture, does not fit, a context
    // beyond the model's, --cpu-moe without experts).
    explicit Model(const LoadOptions & options);
    ~Model();
    Model(const Model &) = delete;
    Model & operator=(const Model &) = delete;

    const Device & device() const;
    int n_threads() const;
    uint32_t n_ctx() const;
    double load_ms() const;

    MemoryUse memory() const;
    std::vector<TensorPlacement> tensors() const;
    // Bytes of routed experts in RAM. Above 0 in a baseline on a GPU means that it is none: llama.cpp leaves a tensor
    // that the device cannot hold or compute on the CPU without a word.
    uint64_t expert_ram_bytes() const;

    // The messages as the model's own chat template renders them, ready for a reply. Throws Error if the model has
    // none.
    std::string apply_chat_template(const std::vector<Message> & messages) const;
    bool has_chat_template() const;

    std::vector<int32_t> tokenize(const std::string & text, bool parse_special) const;
    // The token that begins a text; none where the model was trained without one.
    std::optional<int32_t> bos_token() const;

    // Starts from an empty context. `prompt` is complete text: rendered by the template, or raw. The same seed on
    // the same device gives the same text.
    GenerateResult generate(const std::string & prompt, int max_tokens, const SamplingOptions & sampling,
                            const OnText & on_text = {});

    // Natural-log probabilities over the vocabulary after each token of `tokens` from `first` on: row i predicts token
    // first + i + 1. `tokens.size() - first` rows of n_vocab floats, row-major. For comparing placements and
    // quantizations.
    std::vector<float> log_probabilities(const std::vector<int32_t> & tokens, size_t first = 0);
    int n_vocab() const;

    // The router's choices in all that was computed since the last call, by layer; empty without
    // LoadOptions::record_routing, and for a model without experts.
    std::vector<LayerRouting> take_routing();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace shimmy::engine

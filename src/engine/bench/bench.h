// Prefill and decode rates of a model, defined as llama-bench (llama.cpp v0.5.0, tools/llama-bench) defines them:
//   - every test has a context of its own, of exactly the tokens it needs; each repetition starts from an empty one
//     (or from the same `n_depth` tokens) and is timed from the first batch to the last result;
//   - nothing but the model computes: no tokenizer, no sampler;
//   - one prompt and one token are computed first and not counted.
// One thing differs: llama-bench feeds random tokens, this a text. Random tokens spread over the experts as no text
// does, so they say nothing about caches of experts and little about how many experts a batch needs.
#pragma once

#include "engine/device/device.h"
#include "engine/load/load_options.h"
#include "engine/load/memory.h"
#include "engine/predict/choose_placement.h"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace shimmy::engine {

// Of each of LoadOptions::n_parallel sequences.
struct BenchTest {
    int n_prompt = 0;  // tokens that are computed in batches
    int n_gen = 0;     // and after them, one at a time
    int n_depth = 0;   // tokens that the context holds before

    // "pp512", "tg128 @ d4096", "pp512+tg128": llama-bench's names.
    std::string name() const;
    uint32_t n_ctx() const { return static_cast<uint32_t>(n_prompt + n_gen + n_depth); }
};

struct BenchSample {
    double prompt_ms = 0.0;
    double gen_ms = 0.0;

    // Tokens of all sequences per second over both parts, as llama-bench counts a test of both.
    double tps(const BenchTest & test, uint32_t n_parallel) const;
};

class Bench {
public:
    // `options.n_ctx`: of each test, at least. `text`: what is computed, again from its beginning where it is too
    // short. Throws what Model throws, and UsageError for a test that the model's context does not hold.
    Bench(const LoadOptions & options, const std::vector<BenchTest> & tests, const std::string & text);
    ~Bench();
    Bench(const Bench &) = delete;
    Bench & operator=(const Bench &) = delete;

    const PlacementChoice & placement() const;
    const Device & device() const;
    int n_threads() const;
    double load_ms() const;
    uint64_t expert_ram_bytes() const;

    // `on_sample` is called after each repetition.
    std::vector<BenchSample> run(const BenchTest & test, int n_repeats, const std::function<void()> & on_sample = {});

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// The text that is measured where the user gives none: questions and answers in English, with code and verse.
std::string_view bench_text();

}  // namespace shimmy::engine

// The experts of some layers, computed by libggml-moe as a recorded routing asks for, beside a GPU that is modelled.
#pragma once

#include "engine/replay/route_trace.h"
#include "model_gpu.h"

#include "ggml-backend.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace shimmy::bench {

// What a card takes; by default a GeForce RTX 3060 on PCIe 4.0 x16.
struct Card {
    double vram_bytes_per_s = 360e9, link_bytes_per_s = 22e9;
    double submit_s = 10e-6;  // of a graph: a thread of the CPU is busy
    double launch_s = 20e-6;  // and until the card begins
};

// One replay of the decoded tokens, after one that was not timed.
struct Pass {
    double token_s = 0;
    uint64_t lookups = 0, hits = 0, uploads = 0;
    std::vector<double> layer_s;           // by token and layer
    std::vector<int> layer_hits;           // likewise
    std::vector<std::vector<int>> on_cpu;  // likewise: experts that the CPU computed
};

class OffloadModel {
public:
    OffloadModel(const engine::RouteTrace & trace, int most_layers, int threads, const Card & card);
    ~OffloadModel();
    OffloadModel(const OffloadModel &) = delete;
    OffloadModel & operator=(const OffloadModel &) = delete;

    size_t n_layers() const { return n_layers_; }
    size_t n_tokens() const { return tokens_.size(); }
    int n_used() const { return n_used_; }  // experts of a token and layer, at most
    uint64_t expert_bytes() const;
    uint64_t total_bytes() const;

    // --moe-cache auto with so much VRAM; 0: all in RAM. Layers from `first_on_gpu` on are the GPU's alone.
    Pass run(uint64_t cache_bytes, size_t first_on_gpu) const;
    Pass run(uint64_t cache_bytes) const { return run(cache_bytes, n_layers_); }
    // Only what the CPU computed in another pass.
    Pass run_cpu_part(const Pass & other) const;
    // What a layer of 0, 1, ... hits takes beyond its products: input rows copied, the card told and waited for,
    // results added. Seconds, on a card that takes no time.
    std::vector<double> hand_over_s() const;
    // What the card takes for so many experts of one token.
    double gpu_part_s(int experts) const;

private:
    class Experts;
    class Layer;
    using Token = std::vector<std::vector<int>>;  // experts, by layer

    Pass replay(ggml_backend_t backend, const std::vector<Token> & tokens, size_t first_on_gpu) const;
    moe_test::ModelGpuOptions modelled() const;
    ggml_backend_t new_backend(const std::string & cache, moe_test::ModelGpu * gpu) const;
    std::vector<int> not_in_vram(size_t layer, const std::vector<int> & experts) const;

    Card card_;
    int threads_, n_expert_ = 0, n_used_ = 0;
    size_t n_layers_ = 0;
    std::vector<Token> tokens_;
    std::unique_ptr<Experts> experts_;
    std::vector<std::unique_ptr<Layer>> layers_;
};

}  // namespace shimmy::bench

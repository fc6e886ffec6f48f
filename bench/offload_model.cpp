#include "offload_model.h"

#include "base/error.h"
#include "experts/table.h"
#include "ggml-moe.h"

#include "ggml-alloc.h"
#include "ggml-backend-impl.h"
#include "ggml-cpu.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>

extern "C" ggml_backend_reg_t ggml_backend_init(void);

namespace shimmy::bench {

namespace {

using Clock = std::chrono::steady_clock;
using engine::LayerChoice;
using engine::TraceBatch;

// The shape of a Qwen3-30B-A3B expert at 4 bits.
constexpr int64_t N_EMBD = 2048, N_FF = 768;
constexpr ggml_type TYPE = GGML_TYPE_Q4_K;
constexpr size_t ALL_IN_VRAM_PASSES = 20;  // replays after which every expert that is used must have been uploaded

double seconds_since(Clock::time_point t) {
    return std::chrono::duration<double>(Clock::now() - t).count();
}

template <class Fn>
Fn plugin_function(const char * name) {
    return reinterpret_cast<Fn>(ggml_backend_reg_get_proc_address(ggml_backend_init(), name));
}

ggml_moe_cache_stats cache_stats() {
    static const auto read = plugin_function<ggml_moe_cache_stats_t>("ggml_moe_cache_stats");
    ggml_moe_cache_stats stats{};
    read(&stats);
    return stats;
}

}  // namespace

// The experts of all layers in the plugin's memory.
class OffloadModel::Experts {
public:
    Experts(size_t layers, int experts) {
        context_ = ggml_init({layers * 4 * ggml_tensor_overhead(), nullptr, true});
        for (size_t l = 0; l < layers; ++l) {
            for (const char * name : {"gate", "up", "down"}) {
                const bool down = name[0] == 'd';
                ggml_tensor * t =
                    ggml_new_tensor_3d(context_, TYPE, down ? N_FF : N_EMBD, down ? N_EMBD : N_FF, experts);
                ggml_format_name(t, "blk.%d.ffn_%s_exps.weight", static_cast<int>(l), name);
                tensors_.push_back(t);
            }
        }
        const ggml_backend_dev_t device = ggml_backend_reg_dev_get(ggml_backend_init(), 0);
        ggml_backend_dev_type(device);  // whoever asks for the buffer type has asked this before
        buffer_ = ggml_backend_alloc_ctx_tensors_from_buft(context_, ggml_backend_dev_buffer_type(device));
        if (buffer_ == nullptr) fail("not enough memory for {} layers", layers);
        ggml_backend_buffer_set_usage(buffer_, GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
        ggml_backend_buffer_clear(buffer_, 0x11);
    }
    ~Experts() {
        ggml_backend_buffer_free(buffer_);
        ggml_free(context_);
    }
    Experts(const Experts &) = delete;
    Experts & operator=(const Experts &) = delete;

    ggml_tensor * gate(size_t layer) const { return tensors_[layer * 3]; }
    ggml_tensor * up(size_t layer) const { return tensors_[layer * 3 + 1]; }
    ggml_tensor * down(size_t layer) const { return tensors_[layer * 3 + 2]; }
    size_t expert_bytes() const { return gate(0)->nb[2] * 2 + down(0)->nb[2]; }

private:
    ggml_context * context_ = nullptr;
    ggml_backend_buffer_t buffer_ = nullptr;
    std::vector<ggml_tensor *> tensors_;
};

// The FFN of one layer for one token, as a graph that is kept.
class OffloadModel::Layer {
public:
    Layer(const Experts & experts, size_t layer, int used) : used_(used) {
        context_ = ggml_init({64 * ggml_tensor_overhead() + ggml_graph_overhead(), nullptr, true});
        ggml_tensor * x = ggml_new_tensor_3d(context_, GGML_TYPE_F32, N_EMBD, 1, 1);
        ids_ = ggml_new_tensor_2d(context_, GGML_TYPE_I32, used, 1);
        ggml_tensor * weight = ggml_new_tensor_3d(context_, GGML_TYPE_F32, 1, used, 1);
        for (ggml_tensor * t : {x, ids_, weight})
            ggml_set_input(t);
        ggml_tensor * up = ggml_mul_mat_id(context_, experts.up(layer), x, ids_);
        ggml_tensor * gate = ggml_mul_mat_id(context_, experts.gate(layer), x, ids_);
        ggml_tensor * y = ggml_mul_mat_id(context_, experts.down(layer), ggml_swiglu_split(context_, gate, up), ids_);
        y = ggml_mul(context_, y, weight);
        ggml_tensor * sum = nullptr;
        for (int i = 0; i < used; ++i) {
            ggml_tensor * v = ggml_view_2d(context_, y, N_EMBD, 1, y->nb[2], static_cast<size_t>(i) * y->nb[1]);
            sum = sum == nullptr ? v : ggml_add(context_, sum, v);
        }
        ggml_set_output(sum);
        graph_ = ggml_new_graph(context_);
        ggml_build_forward_expand(graph_, weight);
        ggml_build_forward_expand(graph_, sum);
        memory_ = ggml_gallocr_new(ggml_backend_cpu_buffer_type());
        ggml_gallocr_alloc_graph(memory_, graph_);
        const std::vector<float> ones(N_EMBD, 0.5f);
        ggml_backend_tensor_set(x, ones.data(), 0, ggml_nbytes(x));
        ggml_backend_tensor_set(weight, ones.data(), 0, ggml_nbytes(weight));
    }
    ~Layer() {
        ggml_gallocr_free(memory_);
        ggml_free(context_);
    }
    Layer(const Layer &) = delete;
    Layer & operator=(const Layer &) = delete;

    void compute(ggml_backend_t backend, const std::vector<int> & experts) const {
        std::vector<int32_t> ids(static_cast<size_t>(used_), -1);
        std::copy_n(experts.begin(), std::min(experts.size(), ids.size()), ids.begin());
        ggml_backend_tensor_set(ids_, ids.data(), 0, ggml_nbytes(ids_));
        if (ggml_backend_graph_compute(backend, graph_) != GGML_STATUS_SUCCESS) fail("a graph failed");
    }

private:
    int used_;
    ggml_context * context_ = nullptr;
    ggml_tensor * ids_ = nullptr;
    ggml_cgraph * graph_ = nullptr;
    ggml_gallocr_t memory_ = nullptr;
};

OffloadModel::OffloadModel(const engine::RouteTrace & trace, int most_layers, int threads, const Card & card)
    : card_(card), threads_(threads) {
    std::vector<int> layers;
    for (const auto & [layer, n] : trace.n_expert) {
        n_expert_ = std::max(n_expert_, n);
        if (static_cast<int>(layers.size()) < most_layers) layers.push_back(layer);
    }
    n_layers_ = layers.size();
    for (const TraceBatch & batch : trace.batches) {
        if (!batch.is_decode) continue;
        Token & token = tokens_.emplace_back();
        for (const LayerChoice & choice : batch.layers) {
            if (token.size() == n_layers_ || choice.layer != layers[token.size()]) continue;
            token.push_back(choice.experts);
            n_used_ = std::max(n_used_, static_cast<int>(choice.experts.size()));
        }
        if (token.size() != n_layers_) fail("a token of the trace lacks a layer");
    }
    if (tokens_.empty()) fail("the trace has no decoded token");
    experts_ = std::make_unique<Experts>(n_layers_, n_expert_);
    for (size_t l = 0; l < n_layers_; ++l)
        layers_.push_back(std::make_unique<Layer>(*experts_, l, n_used_));
}

OffloadModel::~OffloadModel() = default;

uint64_t OffloadModel::expert_bytes() const {
    return experts_->expert_bytes();
}

uint64_t OffloadModel::total_bytes() const {
    return n_layers_ * static_cast<size_t>(n_expert_) * expert_bytes();
}

double OffloadModel::gpu_part_s(int experts) const {
    if (experts == 0) return 0;
    const double rows = (1.0 + experts) * N_EMBD * sizeof(float);  // the input, and what comes back
    return card_.launch_s + experts * static_cast<double>(expert_bytes()) / card_.vram_bytes_per_s +
           rows / card_.link_bytes_per_s;
}

moe_test::ModelGpuOptions OffloadModel::modelled() const {
    moe_test::ModelGpuOptions o;
    o.memory = size_t(1) << 40;
    o.submit_s = card_.submit_s;
    o.launch_s = card_.launch_s;
    o.memory_bytes_per_s = card_.vram_bytes_per_s;
    o.link_bytes_per_s = card_.link_bytes_per_s;
    return o;
}

ggml_backend_t OffloadModel::new_backend(const std::string & cache, moe_test::ModelGpu * gpu) const {
    setenv("GGML_MOE_CACHE", cache.c_str(), 1);
    for (size_t l = 0; l < n_layers_; ++l)
        moe::expert_tensor(experts_->down(l))->gpu = gpu != nullptr ? gpu->device() : nullptr;
    ggml_backend_t backend = ggml_backend_dev_init(ggml_backend_reg_dev_get(ggml_backend_init(), 0), nullptr);
    plugin_function<ggml_backend_set_n_threads_t>("ggml_backend_set_n_threads")(backend, threads_);
    return backend;
}

std::vector<int> OffloadModel::not_in_vram(size_t layer, const std::vector<int> & experts) const {
    const moe::ExpertTensor * t = moe::expert_tensor(experts_->down(layer));
    std::vector<int> missing;
    for (const int e : experts) {
        if (t->counters[static_cast<size_t>(e)].in_vram == 0) missing.push_back(e);
    }
    return missing;
}

Pass OffloadModel::replay(ggml_backend_t backend, const std::vector<Token> & tokens, size_t first_on_gpu) const {
    Pass pass;
    const size_t n = tokens.size() * n_layers_;
    pass.layer_s.reserve(n), pass.layer_hits.reserve(n), pass.on_cpu.reserve(n);
    plugin_function<ggml_moe_expert_stats_reset_t>("ggml_moe_expert_stats_reset")();
    const double on_gpu_s = card_.submit_s + gpu_part_s(n_used_);
    uint64_t hits = 0;
    const Clock::time_point begun = Clock::now();
    for (const Token & token : tokens) {
        for (size_t l = 0; l < n_layers_; ++l) {
            const Clock::time_point layer_begun = Clock::now();
            std::vector<int> on_cpu;
            if (l >= first_on_gpu) {
                moe_test::wait_until(
                    layer_begun + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(on_gpu_s)));
            } else {
                on_cpu = not_in_vram(l, token[l]);
                layers_[l]->compute(backend, token[l]);
            }
            pass.layer_s.push_back(seconds_since(layer_begun));
            const uint64_t hits_now = cache_stats().hits;
            const auto layer_hits = static_cast<size_t>(hits_now - hits);
            hits = hits_now;
            // An upload may have ended in between, and a few residents may not be worth starting the GPU for.
            if (l < first_on_gpu && token[l].size() >= layer_hits && on_cpu.size() != token[l].size() - layer_hits)
                on_cpu.assign(token[l].begin() + static_cast<std::ptrdiff_t>(layer_hits), token[l].end());
            pass.layer_hits.push_back(static_cast<int>(layer_hits));
            pass.on_cpu.push_back(std::move(on_cpu));
        }
    }
    pass.token_s = seconds_since(begun) / static_cast<double>(tokens.size());
    const ggml_moe_cache_stats counts = cache_stats();
    pass.lookups = counts.lookups, pass.hits = counts.hits, pass.uploads = counts.uploads;
    return pass;
}

Pass OffloadModel::run(uint64_t cache_bytes, size_t first_on_gpu) const {
    moe_test::ModelGpu gpu(modelled());
    ggml_backend_t backend = new_backend(cache_bytes == 0 ? "off" : "auto:" + std::to_string(cache_bytes), &gpu);
    if (cache_bytes > 0) replay(backend, tokens_, first_on_gpu);
    const Pass pass = replay(backend, tokens_, first_on_gpu);
    ggml_backend_free(backend);
    return pass;
}

Pass OffloadModel::run_cpu_part(const Pass & other) const {
    std::vector<Token> tokens(other.on_cpu.size() / n_layers_);
    for (size_t i = 0; i < other.on_cpu.size(); ++i)
        tokens[i / n_layers_].push_back(other.on_cpu[i]);
    ggml_backend_t backend = new_backend("off", nullptr);
    const Pass pass = replay(backend, tokens, n_layers_);
    ggml_backend_free(backend);
    return pass;
}

std::vector<double> OffloadModel::hand_over_s() const {
    moe_test::ModelGpuOptions quick = modelled();
    quick.launch_s = 0;
    quick.memory_bytes_per_s = quick.link_bytes_per_s = 1e18;
    moe_test::ModelGpu gpu(quick);
    ggml_backend_t backend = new_backend(std::to_string(2 * total_bytes()), &gpu);
    ggml_backend_t cpu = new_backend("off", nullptr);
    for (size_t l = 0; l < n_layers_; ++l)
        moe::expert_tensor(experts_->down(l))->gpu = gpu.device();
    for (size_t i = 0; i < ALL_IN_VRAM_PASSES; ++i) {
        const Pass pass = replay(backend, tokens_, n_layers_);
        if (i > 0 && pass.hits == pass.lookups) break;
        if (i + 1 == ALL_IN_VRAM_PASSES) fail("not every expert came to VRAM");
    }
    std::vector<double> seconds{0};
    std::vector<Token> none(tokens_.size(), Token(n_layers_));
    const double empty_s = replay(cpu, none, n_layers_).token_s;
    for (int n = 1; n <= n_used_; ++n) {
        std::vector<Token> some = tokens_;
        for (Token & token : some) {
            for (std::vector<int> & experts : token)
                experts.resize(std::min(experts.size(), static_cast<size_t>(n)));
        }
        const double token_s = replay(backend, some, n_layers_).token_s;
        seconds.push_back(std::max(0.0, token_s - empty_s) / static_cast<double>(n_layers_));
    }
    ggml_backend_free(cpu);
    ggml_backend_free(backend);
    return seconds;
}

}  // namespace shimmy::bench

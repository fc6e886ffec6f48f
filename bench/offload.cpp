// Ways to use a GPU's memory for experts, timed: libggml-moe computes recorded routing on this machine's CPU, beside a
// GPU that is modelled (it takes as long as a card with this bandwidth and link would, and computes nothing). So hit
// rates, uploads and the overlap of both sides are real; the card is not.
//
// usage: moe-offload TRACE.csv [--layers N] [--vram GB/s] [--link GB/s] [--launch us] [--repeats N] [--threads N]
// [--json]
#include "base/error.h"
#include "base/json.h"
#include "engine/replay/compare.h"
#include "ggml-moe.h"
#include "graph/graph.h"
#include "model_gpu.h"

#include "ggml-backend-impl.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

extern "C" ggml_backend_reg_t ggml_backend_init(void);

namespace {

using Clock = std::chrono::steady_clock;
using shimmy::Json;
using namespace shimmy::engine;

struct Options {
    std::string trace;
    int layers = 12;  // of the trace: all would not fit in many machines
    double vram_bytes_per_s = 360e9, link_bytes_per_s = 22e9, launch_s = 30e-6;  // a GeForce RTX 3060 on PCIe 4.0 x16
    int repeats = 3;
    // The modelled GPU waits on a core of its own, which a real one would not take.
    int threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()) - 1);
    bool json = false;
};

// The shape of a Qwen3-30B-A3B expert at 4 bits.
constexpr int64_t N_EMBD = 2048, N_FF = 768;
constexpr ggml_type TYPE = GGML_TYPE_Q4_K;

double seconds_since(Clock::time_point t) {
    return std::chrono::duration<double>(Clock::now() - t).count();
}

// The experts of some layers in the plugin's memory.
class Experts {
public:
    Experts(int layers, int experts) {
        context_ = ggml_init({size_t(layers) * 4 * ggml_tensor_overhead(), nullptr, true});
        for (int l = 0; l < layers; ++l) {
            for (const char * name : {"gate", "up", "down"}) {
                const bool down = name[0] == 'd';
                ggml_tensor * t =
                    ggml_new_tensor_3d(context_, TYPE, down ? N_FF : N_EMBD, down ? N_EMBD : N_FF, experts);
                ggml_format_name(t, "blk.%d.ffn_%s_exps.weight", l, name);
                tensors_.push_back(t);
            }
        }
        const ggml_backend_dev_t device = ggml_backend_reg_dev_get(ggml_backend_init(), 0);
        ggml_backend_dev_type(device);  // whoever asks for the buffer type has asked this before
        buffer_ = ggml_backend_alloc_ctx_tensors_from_buft(context_, ggml_backend_dev_buffer_type(device));
        if (buffer_ == nullptr) shimmy::fail("not enough memory for {} layers", layers);
        ggml_backend_buffer_set_usage(buffer_, GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
        ggml_backend_buffer_clear(buffer_, 0x11);
    }
    ~Experts() {
        ggml_backend_buffer_free(buffer_);
        ggml_free(context_);
    }
    Experts(const Experts &) = delete;
    Experts & operator=(const Experts &) = delete;

    ggml_tensor * gate(int layer) const { return tensors_[size_t(layer) * 3]; }
    ggml_tensor * up(int layer) const { return tensors_[size_t(layer) * 3 + 1]; }
    ggml_tensor * down(int layer) const { return tensors_[size_t(layer) * 3 + 2]; }
    size_t expert_bytes() const { return gate(0)->nb[2] * 2 + down(0)->nb[2]; }

private:
    ggml_context * context_ = nullptr;
    ggml_backend_buffer_t buffer_ = nullptr;
    std::vector<ggml_tensor *> tensors_;
};

// The FFN of one layer for one token, as a graph that is kept.
class Layer {
public:
    Layer(const Experts & experts, int layer, int used) : used_(used) {
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
            ggml_tensor * v = ggml_view_2d(context_, y, N_EMBD, 1, y->nb[2], size_t(i) * y->nb[1]);
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

    void compute(ggml_backend_t backend, const std::vector<int> & experts) {
        std::vector<int32_t> ids(static_cast<size_t>(used_), -1);
        std::copy_n(experts.begin(), std::min(experts.size(), ids.size()), ids.begin());
        ggml_backend_tensor_set(ids_, ids.data(), 0, ggml_nbytes(ids_));
        if (ggml_backend_graph_compute(backend, graph_) != GGML_STATUS_SUCCESS) shimmy::fail("a graph failed");
    }

private:
    int used_;
    ggml_context * context_ = nullptr;
    ggml_tensor * ids_ = nullptr;
    ggml_cgraph * graph_ = nullptr;
    ggml_gallocr_t memory_ = nullptr;
};

struct Result {
    double token_s = 0;  // median over the repeats of the mean of all tokens
    double hit_rate = 0, uploads_per_lookup = 0;
    double parts_s = 0;  // of a token: the slower of both parts in every layer, and a launch; of the last repeat
};

class Bench {
public:
    Bench(const Options & options, const RouteTrace & trace) : options_(options), trace_(trace) {
        for (const auto & [layer, n] : trace.n_expert) {
            n_expert_ = std::max(n_expert_, n);
            if (static_cast<int>(layers_.size()) < options.layers) layers_.push_back(layer);
        }
        for (const TraceBatch & batch : trace.batches) {
            if (!batch.is_decode) continue;
            for (const LayerChoice & choice : batch.layers)
                used_ = std::max(used_, static_cast<int>(choice.experts.size()));
        }
        experts_.emplace(static_cast<int>(layers_.size()), n_expert_);
        for (size_t l = 0; l < layers_.size(); ++l)
            graphs_.push_back(std::make_unique<Layer>(*experts_, static_cast<int>(l), used_));
    }

    uint64_t total_bytes() const { return layers_.size() * static_cast<size_t>(n_expert_) * experts_->expert_bytes(); }

    // cache_bytes 0: none. Layers from `first_on_gpu` on are the GPU's alone.
    Result run(uint64_t cache_bytes, size_t first_on_gpu) {
        std::vector<double> seconds;
        Result result;
        for (int i = 0; i < options_.repeats; ++i) {
            const double s = run_once(cache_bytes, first_on_gpu, result);
            seconds.push_back(s);
        }
        std::sort(seconds.begin(), seconds.end());
        result.token_s = seconds[seconds.size() / 2];
        return result;
    }

    // A layer that lies in VRAM whole: one launch and its bytes.
    double gpu_layer_s() const {
        return options_.launch_s + static_cast<double>(experts_->expert_bytes()) * used_ / options_.vram_bytes_per_s;
    }

    // What the CPU takes for a layer of one token with so many experts, the others being elsewhere: all repeats' median
    // of the mean over some tokens.
    void time_cpu_part() {
        setenv("GGML_MOE_CACHE", "off", 1);
        cpu_part_s_.clear();
        ggml_backend_t backend = new_backend();
        for (int n = 0; n <= used_; ++n) {
            std::vector<double> seconds;
            for (int repeat = 0; repeat < options_.repeats; ++repeat) {
                size_t tokens = 0;
                const Clock::time_point begun = Clock::now();
                for (const TraceBatch & batch : trace_.batches) {
                    if (!batch.is_decode || tokens >= 24) continue;
                    ++tokens;
                    size_t at = 0;
                    for (const LayerChoice & choice : batch.layers) {
                        if (at >= layers_.size() || choice.layer != layers_[at]) continue;
                        const auto end = std::min<size_t>(static_cast<size_t>(n), choice.experts.size());
                        graphs_[at++]->compute(backend, {choice.experts.begin(),
                                                         choice.experts.begin() + static_cast<std::ptrdiff_t>(end)});
                    }
                }
                seconds.push_back(seconds_since(begun) / static_cast<double>(tokens * layers_.size()));
            }
            std::sort(seconds.begin(), seconds.end());
            cpu_part_s_.push_back(seconds[seconds.size() / 2]);
        }
        ggml_backend_free(backend);
    }

private:
    // Tokens that fill the cache, and are not timed.
    size_t n_warm() const { return trace_.n_decode_tokens() / 8 + 4; }

    ggml_backend_t new_backend() const {
        ggml_backend_t backend = ggml_backend_dev_init(ggml_backend_reg_dev_get(ggml_backend_init(), 0), nullptr);
        const auto set_n_threads = reinterpret_cast<ggml_backend_set_n_threads_t>(
            ggml_backend_reg_get_proc_address(ggml_backend_init(), "ggml_backend_set_n_threads"));
        set_n_threads(backend, options_.threads);
        return backend;
    }

    // The slower of both parts of a layer with so many experts on the GPU, and a launch.
    double layer_parts_s(uint64_t hits, uint64_t experts) const {
        const double cpu_s = cpu_part_s_.at(static_cast<size_t>(experts - hits));
        if (hits == 0) return cpu_s;
        const double gpu_s = static_cast<double>(hits * experts_->expert_bytes()) / options_.vram_bytes_per_s;
        return std::max(cpu_s, gpu_s) + options_.launch_s;
    }

    double run_once(uint64_t cache_bytes, size_t first_on_gpu, Result & result) {
        moe_test::ModelGpuOptions card;
        card.memory = size_t(1) << 40;
        card.launch_s = options_.launch_s;
        card.memory_bytes_per_s = options_.vram_bytes_per_s;
        card.link_bytes_per_s = options_.link_bytes_per_s;
        moe_test::ModelGpu gpu(card);
        setenv("GGML_MOE_CACHE", cache_bytes == 0 ? "off" : std::to_string(cache_bytes).c_str(), 1);
        ggml_backend_t backend = new_backend();
        for (size_t l = 0; l < layers_.size(); ++l)
            moe::expert_tensor(experts_->down(static_cast<int>(l)))->gpu = gpu.device();
        const auto reset = reinterpret_cast<ggml_moe_expert_stats_reset_t>(
            ggml_backend_reg_get_proc_address(ggml_backend_init(), "ggml_moe_expert_stats_reset"));
        const auto stats = reinterpret_cast<ggml_moe_cache_stats_t>(
            ggml_backend_reg_get_proc_address(ggml_backend_init(), "ggml_moe_cache_stats"));
        reset();
        const size_t n_tokens = trace_.n_decode_tokens(), warm = n_warm();
        size_t token = 0;
        Clock::time_point begun;
        double parts_s = 0;
        uint64_t hits = 0;
        for (const TraceBatch & batch : trace_.batches) {
            if (!batch.is_decode) continue;
            if (token++ == warm) {
                reset();
                parts_s = 0, hits = 0;
                begun = Clock::now();
            }
            size_t at = 0;
            for (const LayerChoice & choice : batch.layers) {
                if (at >= layers_.size() || choice.layer != layers_[at]) continue;
                if (at >= first_on_gpu) {
                    moe_test::wait_until(Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                                            std::chrono::duration<double>(gpu_layer_s())));
                } else {
                    graphs_[at]->compute(backend, choice.experts);
                }
                if (cache_bytes > 0) {
                    ggml_moe_cache_stats now{};
                    stats(&now);
                    parts_s += layer_parts_s(now.hits - hits, choice.experts.size());
                    hits = now.hits;
                }
                ++at;
            }
        }
        const double s = seconds_since(begun) / static_cast<double>(n_tokens - warm);
        result.parts_s = parts_s / static_cast<double>(n_tokens - warm);
        ggml_moe_cache_stats counts{};
        stats(&counts);
        if (counts.lookups > 0) {
            result.hit_rate = static_cast<double>(counts.hits) / static_cast<double>(counts.lookups);
            result.uploads_per_lookup = static_cast<double>(counts.uploads) / static_cast<double>(counts.lookups);
        }
        ggml_backend_free(backend);
        return s;
    }

    const Options & options_;
    const RouteTrace & trace_;
    std::vector<int> layers_;
    int n_expert_ = 0, used_ = 0;
    std::optional<Experts> experts_;
    std::vector<std::unique_ptr<Layer>> graphs_;
    std::vector<double> cpu_part_s_;  // by experts
};

Options parse(int argc, char ** argv) {
    Options options;
    for (int i = 1; i < argc; ++i) {
        const std::string name = argv[i];
        const auto value = [&] {
            if (++i == argc) shimmy::fail("{} needs a value", name);
            return std::atof(argv[i]);
        };
        if (name == "--layers") {
            options.layers = static_cast<int>(value());
        } else if (name == "--vram") {
            options.vram_bytes_per_s = value() * 1e9;
        } else if (name == "--link") {
            options.link_bytes_per_s = value() * 1e9;
        } else if (name == "--launch") {
            options.launch_s = value() * 1e-6;
        } else if (name == "--repeats") {
            options.repeats = static_cast<int>(value());
        } else if (name == "--threads") {
            options.threads = static_cast<int>(value());
        } else if (name == "--json") {
            options.json = true;
        } else if (name.starts_with("--") || !options.trace.empty()) {
            shimmy::fail("{} is no option", name);
        } else {
            options.trace = name;
        }
    }
    if (options.trace.empty() || options.layers < 1 || options.repeats < 1 || options.threads < 1)
        shimmy::fail(
            "usage: moe-offload TRACE.csv [--layers N] [--vram GB/s] [--link GB/s] [--launch us] [--repeats N] "
            "[--threads N] [--json]");
    return options;
}

void run(const Options & options) {
    const RouteTrace trace = read_route_trace(options.trace);
    Bench bench(options, trace);
    const size_t n_layers = std::min<size_t>(static_cast<size_t>(options.layers), trace.n_expert.size());
    const Result none = bench.run(0, n_layers);
    Json rows = Json::array();
    if (!options.json)
        fmt::print(
            "{} layers, {:.2f} GiB of experts, {} threads; all on the CPU: {:.2f} ms per token\n\n{:>6} {:>7} {:>8} {:>10} {:>14} "
            "{:>10} {:>9} {:>10}\n",
            n_layers, static_cast<double>(bench.total_bytes()) / (1 << 30), options.threads, 1e3 * none.token_s,
            "share", "hits", "uploads", "cache, ms", "of both parts", "layers, ms", "to layers", "to cpu-moe");
    for (const double share : {0.02, 0.05, 0.10, 0.25, 1.0 / 3, 0.50, 0.66}) {
        const auto cache_bytes = static_cast<uint64_t>(share * static_cast<double>(bench.total_bytes()));
        bench.time_cpu_part();  // again for every size: other work on the machine comes and goes
        const Result cache = bench.run(cache_bytes, n_layers);
        const auto on_gpu = static_cast<size_t>(share * static_cast<double>(n_layers));
        const Result layers = bench.run(0, n_layers - on_gpu);
        rows.push_back({{"share", share},
                        {"hit_rate", cache.hit_rate},
                        {"uploads_per_lookup", cache.uploads_per_lookup},
                        {"cache_ms", 1e3 * cache.token_s},
                        {"parts_ms", 1e3 * cache.parts_s},
                        {"layers_on_gpu", on_gpu},
                        {"layers_ms", 1e3 * layers.token_s},
                        {"cpu_moe_ms", 1e3 * none.token_s}});
        if (!options.json)
            fmt::print("{:>5.0f}% {:>6.1f}% {:>8.3f} {:>10.2f} {:>13.2f}x {:>10.2f} {:>8.2f}x {:>9.2f}x\n", 100 * share,
                       100 * cache.hit_rate, cache.uploads_per_lookup, 1e3 * cache.token_s,
                       cache.token_s / cache.parts_s, 1e3 * layers.token_s, layers.token_s / cache.token_s,
                       none.token_s / cache.token_s);
    }
    if (options.json) fmt::print("{}\n", rows.dump(2));
}

}  // namespace

int main(int argc, char ** argv) {
    try {
        run(parse(argc, argv));
        return 0;
    } catch (const std::exception & error) {
        fmt::print(stderr, "{}\n", error.what());
        return 1;
    }
}

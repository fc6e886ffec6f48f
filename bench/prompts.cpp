// Prompts beside a GPU, with all experts in RAM: llama.cpp alone, which streams the experts of 32 tokens or more to the
// GPU, against llama.cpp with libggml-moe, which leaves it those that are faster streamed and computes the others.
//
// ggml's own scheduler runs some layers of experts on a GPU that is modelled (it takes as long as a card with this
// bandwidth and link would, and computes nothing). What the plugin computes is real. Both take turns. Beside the times
// stand what does not depend on the machine's other work: the bytes that cross the link, and the parts of the graph
// that the scheduler hands to one device or another.
//
// With --cache, the plugin keeps so many of the experts in VRAM, those that single tokens used before the prompts.
//
// usage: moe-prompts [--tokens 128,2048] [--cache PERCENT] [--layers N] [--vram GB/s] [--link GB/s] [--launch us]
// [--repeats N] [--threads N] [--json]
#include "base/error.h"
#include "base/host/host.h"
#include "base/json.h"
#include "base/version.h"
#include "device/rates.h"
#include "device/streaming.h"
#include "ggml-moe.h"
#include "model_gpu.h"

#include "ggml-alloc.h"
#include "ggml-backend-impl.h"
#include "ggml-cpu.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

extern "C" ggml_backend_reg_t ggml_backend_init(void);

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using shimmy::Json;

struct Options {
    std::vector<int> tokens{32, 64, 128, 256, 512, 2048};
    double cache = 0;  // of the experts, %
    int layers = 3;
    double vram_bytes_per_s = 360e9, link_bytes_per_s = 22e9, launch_s = 30e-6;  // a GeForce RTX 3060 on PCIe 4.0 x16
    int repeats = 5;
    int threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    bool json = false;
};

// The experts of Qwen3-30B-A3B at 4 bits.
constexpr int64_t N_EMBD = 2048, N_FF = 768, N_EXPERT = 128, N_USED = 8;
constexpr ggml_type TYPE = GGML_TYPE_Q4_K;

ggml_backend_dev_t plugin() {
    return ggml_backend_reg_dev_get(ggml_backend_init(), 0);
}

// Weights of some layers, once in memory: the plugin's and llama.cpp's own buffers show the same bytes.
class Weights {
public:
    explicit Weights(int layers)
        : bytes_(static_cast<size_t>(layers) * 3 * matrix_bytes()), data_(std::aligned_alloc(4096, rounded(bytes_))) {
        if (data_ == nullptr) shimmy::fail("not enough memory for {} layers", layers);
        std::memset(data_, 0x11, bytes_);
    }
    ~Weights() { std::free(data_); }
    Weights(const Weights &) = delete;
    Weights & operator=(const Weights &) = delete;

    size_t bytes() const { return bytes_; }
    static size_t matrix_bytes() { return ggml_row_size(TYPE, N_EMBD) * N_FF * N_EXPERT; }
    ggml_backend_buffer_t of_plugin() {
        ggml_backend_dev_type(plugin());  // whoever asks for the buffer type has asked this before
        return ggml_backend_dev_buffer_from_host_ptr(plugin(), data_, bytes_, 0);
    }
    ggml_backend_buffer_t of_cpu() { return ggml_backend_cpu_buffer_from_ptr(data_, bytes_); }

private:
    static size_t rounded(size_t bytes) { return (bytes + 4095) / 4096 * 4096; }

    size_t bytes_;
    void * data_;
};

// What a context of llama.cpp has: weights and backends, for batches of all sizes.
class Engine {
public:
    Engine(moe_test::ModelGpu & gpu, ggml_backend_buffer_t weights, bool with_plugin, const Options & options)
        : weights_(weights), layers_(options.layers) {
        ggml_backend_buffer_set_usage(weights_, GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
        backends_.push_back(ggml_backend_dev_init(gpu.device(), nullptr));
        if (with_plugin) backends_.push_back(ggml_backend_dev_init(plugin(), nullptr));
        backends_.push_back(ggml_backend_cpu_init());
        ggml_backend_cpu_set_n_threads(backends_.back(), options.threads);
        if (with_plugin) {
            const auto set_n_threads = reinterpret_cast<ggml_backend_set_n_threads_t>(
                ggml_backend_reg_get_proc_address(ggml_backend_init(), "ggml_backend_set_n_threads"));
            set_n_threads(backends_[1], options.threads);
        }
    }
    ~Engine() {
        for (ggml_backend_t backend : backends_)
            ggml_backend_free(backend);
        ggml_backend_buffer_free(weights_);
    }
    Engine(const Engine &) = delete;
    Engine & operator=(const Engine &) = delete;

    ggml_backend_buffer_t weights() const { return weights_; }
    std::vector<ggml_backend_t> backends() const { return backends_; }
    int layers() const { return layers_; }

private:
    ggml_backend_buffer_t weights_;
    std::vector<ggml_backend_t> backends_;
    int layers_;
};

// The expert layers of a model for one batch, as llama.cpp builds and schedules them.
class Prompt {
public:
    Prompt(const Engine & engine, int tokens, unsigned seed = 1) : weights_(engine.weights()) {
        std::vector<ggml_backend_t> backends = engine.backends();
        build(engine, tokens, seed);
        std::vector<ggml_backend_buffer_type_t> types;
        for (ggml_backend_t backend : backends)
            types.push_back(ggml_backend_get_default_buffer_type(backend));
        scheduler_ = ggml_backend_sched_new(backends.data(), types.data(), static_cast<int>(backends.size()), 4096,
                                            /*parallel=*/false, /*op_offload=*/true);
        if (!ggml_backend_sched_alloc_graph(scheduler_, graph_))
            shimmy::fail("not enough memory for {} tokens", tokens);
    }
    ~Prompt() {
        ggml_backend_sched_free(scheduler_);
        ggml_backend_buffer_free(on_gpu_);
        ggml_free(leaves_);
        ggml_free(context_);
    }
    Prompt(const Prompt &) = delete;
    Prompt & operator=(const Prompt &) = delete;

    double run_s() {
        const auto begun = Clock::now();
        if (ggml_backend_sched_graph_compute(scheduler_, graph_) != GGML_STATUS_SUCCESS) shimmy::fail("a graph failed");
        return std::chrono::duration<double>(Clock::now() - begun).count();
    }
    int splits() const { return ggml_backend_sched_get_n_splits(scheduler_); }

private:
    void build(const Engine & engine, int tokens, unsigned seed) {
        const int layers = engine.layers();
        context_ = ggml_init({1024 * ggml_tensor_overhead() + ggml_graph_overhead_custom(4096, false), nullptr, true});
        std::vector<ggml_tensor *> matrices;
        size_t offset = 0;
        auto * base = static_cast<char *>(ggml_backend_buffer_get_base(weights_));
        for (int i = 0; i < layers * 3; ++i, offset += Weights::matrix_bytes()) {
            const bool down = i % 3 == 2;
            ggml_tensor * t = ggml_new_tensor_3d(context_, TYPE, down ? N_FF : N_EMBD, down ? N_EMBD : N_FF, N_EXPERT);
            ggml_format_name(t, "blk.%d.ffn_%s_exps.weight", i / 3, down ? "down" : i % 3 == 0 ? "gate" : "up");
            ggml_backend_tensor_alloc(weights_, t, base + offset);
            matrices.push_back(t);
        }
        // On the GPU: hidden state, norm, routing and its weights.
        ggml_context * leaves = ggml_init({8 * ggml_tensor_overhead(), nullptr, true});
        ggml_tensor * hidden = ggml_new_tensor_3d(leaves, GGML_TYPE_F32, N_EMBD, 1, tokens);
        ggml_tensor * norm = ggml_new_tensor_1d(leaves, GGML_TYPE_F32, N_EMBD);
        ggml_tensor * ids = ggml_new_tensor_2d(leaves, GGML_TYPE_I32, N_USED, tokens);
        ggml_tensor * share = ggml_new_tensor_3d(leaves, GGML_TYPE_F32, 1, N_USED, tokens);
        on_gpu_ = ggml_backend_alloc_ctx_tensors(leaves, engine.backends().front());
        set_routing(ids, tokens, seed);
        graph_ = ggml_new_graph_custom(context_, 4096, false);
        for (int layer = 0; layer < layers; ++layer) {
            ggml_tensor * x = ggml_mul(context_, hidden, norm);
            ggml_tensor * const * m = &matrices[static_cast<size_t>(layer) * 3];
            ggml_tensor * up = ggml_mul_mat_id(context_, m[1], x, ids);
            ggml_tensor * gate = ggml_mul_mat_id(context_, m[0], x, ids);
            ggml_tensor * y = ggml_mul_mat_id(context_, m[2], ggml_swiglu_split(context_, gate, up), ids);
            y = ggml_mul(context_, y, share);
            ggml_build_forward_expand(graph_, y);
            ggml_tensor * sum = nullptr;
            for (int64_t i = 0; i < N_USED; ++i) {
                ggml_tensor * v =
                    ggml_view_2d(context_, y, N_EMBD, tokens, y->nb[2], static_cast<size_t>(i) * y->nb[1]);
                sum = sum == nullptr ? v : ggml_add(context_, sum, v);
                ggml_build_forward_expand(graph_, sum);
            }
            hidden = ggml_add(context_, hidden, ggml_reshape_3d(context_, sum, N_EMBD, 1, tokens));
        }
        ggml_build_forward_expand(graph_, hidden);
        leaves_ = leaves;
    }

    static void set_routing(ggml_tensor * ids, int tokens, unsigned seed) {
        std::mt19937 random(seed);
        std::vector<int32_t> all(N_EXPERT), chosen;
        for (size_t i = 0; i < all.size(); ++i)
            all[i] = static_cast<int32_t>(i);
        for (int token = 0; token < tokens; ++token) {
            std::shuffle(all.begin(), all.end(), random);
            chosen.insert(chosen.end(), all.begin(), all.begin() + N_USED);
        }
        ggml_backend_tensor_set(ids, chosen.data(), 0, ggml_nbytes(ids));
    }

    ggml_backend_buffer_t weights_;
    ggml_context *context_ = nullptr, *leaves_ = nullptr;
    ggml_backend_buffer_t on_gpu_ = nullptr;
    ggml_cgraph * graph_ = nullptr;
    ggml_backend_sched_t scheduler_ = nullptr;
};

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

// Single tokens, until the cache is open and full.
void fill_cache(const Engine & engine) {
    const auto stats = reinterpret_cast<ggml_moe_cache_stats_t>(
        ggml_backend_reg_get_proc_address(ggml_backend_init(), "ggml_moe_cache_stats"));
    constexpr unsigned MOST_TOKENS = 2000;
    for (unsigned token = 0; token < MOST_TOKENS; ++token) {
        Prompt(engine, 1, token).run_s();
        ggml_moe_cache_stats now{};
        const std::string text = stats(&now);
        if (text.starts_with("off")) shimmy::fail("there is no cache: {}", text);
        if (now.slots > 0 && now.resident == now.slots) return;
    }
    shimmy::fail("the cache did not fill");
}

// Bytes that cross the link in one run. What earlier batches had the cache upload ends first: an expert takes 0.2 ms.
uint64_t link_bytes(const moe_test::ModelGpu & gpu, Prompt & prompt) {
    uint64_t before = 0;
    while (before != gpu.link_bytes()) {
        before = gpu.link_bytes();
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    prompt.run_s();
    return gpu.link_bytes() - before;
}

Json measure(const Options & options, const Engine & stock_engine, const Engine & plugin_engine,
             const moe_test::ModelGpu & gpu, int tokens) {
    Prompt stock(stock_engine, tokens), with_plugin(plugin_engine, tokens);
    const uint64_t stock_bytes = link_bytes(gpu, stock), plugin_bytes = link_bytes(gpu, with_plugin);
    std::vector<double> stock_s, plugin_s, ratios;
    for (int i = 0; i < options.repeats; ++i) {
        stock_s.push_back(stock.run_s());
        plugin_s.push_back(with_plugin.run_s());
        ratios.push_back(plugin_s.back() / stock_s.back());
    }
    const auto [low, high] = std::minmax_element(ratios.begin(), ratios.end());
    return {{"tokens", tokens},
            {"stock_ms", 1e3 * median(stock_s)},
            {"plugin_ms", 1e3 * median(plugin_s)},
            {"ratio", median(ratios)},
            {"ratio_min", *low},
            {"ratio_max", *high},
            {"stock_link_bytes", stock_bytes},
            {"plugin_link_bytes", plugin_bytes},
            {"stock_splits", stock.splits()},
            {"plugin_splits", with_plugin.splits()}};
}

Options parse(int argc, char ** argv) {
    Options options;
    for (int i = 1; i < argc; ++i) {
        const std::string name = argv[i];
        if (name == "--json") {
            options.json = true;
            continue;
        }
        if (++i == argc) shimmy::fail("{} needs a value", name);
        const double value = std::atof(argv[i]);
        if (name == "--tokens") {
            options.tokens.clear();
            std::istringstream list(argv[i]);
            for (std::string one; std::getline(list, one, ',');)
                options.tokens.push_back(std::max(1, std::atoi(one.c_str())));
        } else if (name == "--cache") {
            options.cache = value;
        } else if (name == "--layers") {
            options.layers = std::max(1, static_cast<int>(value));
        } else if (name == "--vram") {
            options.vram_bytes_per_s = value * 1e9;
        } else if (name == "--link") {
            options.link_bytes_per_s = value * 1e9;
        } else if (name == "--launch") {
            options.launch_s = value * 1e-6;
        } else if (name == "--repeats") {
            options.repeats = std::max(1, static_cast<int>(value));
        } else if (name == "--threads") {
            options.threads = std::max(1, static_cast<int>(value));
        } else {
            shimmy::fail("{} is no option", name);
        }
    }
    return options;
}

Json conditions_of(const Options & options) {
    const shimmy::Host machine = shimmy::host();
    return {{"cpu", machine.cpu},
            {"n_cores", machine.n_cores},
            {"threads", options.threads},
            {"n_layers", options.layers},
            {"repeats", options.repeats},
            {"cache_percent", options.cache},
            {"card",
             {{"is_modelled", true},
              {"vram_bytes_per_s", options.vram_bytes_per_s},
              {"link_bytes_per_s", options.link_bytes_per_s},
              {"launch_us", 1e6 * options.launch_s}}},
            {"shimmy_version", shimmy::shimmy_version()}};
}

void print(const Json & rows) {
    fmt::print("{:>6} {:>10} {:>11} {:>24} {:>22} {:>16}\n", "tokens", "stock, ms", "plugin, ms",
               "plugin / stock (range)", "link, MiB: stock plugin", "splits: stock plugin");
    for (const Json & row : rows) {
        const auto number = [&](const char * key) { return row[key].get<double>(); };
        fmt::print("{:>6} {:>10.2f} {:>11.2f} {:>8.3f} ({:.3f} to {:.3f}) {:>16.2f} {:>6.2f} {:>13} {:>6}\n",
                   row["tokens"].get<int>(), number("stock_ms"), number("plugin_ms"), number("ratio"),
                   number("ratio_min"), number("ratio_max"), number("stock_link_bytes") / (1 << 20),
                   number("plugin_link_bytes") / (1 << 20), row["stock_splits"].get<int>(),
                   row["plugin_splits"].get<int>());
    }
}

void run(const Options & options) {
    moe_test::ModelGpuOptions card;
    card.memory = size_t(1) << 40;
    card.launch_s = options.launch_s;
    card.memory_bytes_per_s = options.vram_bytes_per_s;
    card.link_bytes_per_s = options.link_bytes_per_s;
    card.offload_from = 32;
    moe_test::ModelGpu gpu(card);
    // The plugin measures the link by copies, which take this machine longer than a fast card; the processor it
    // measures.
    const fs::path folder = fs::temp_directory_path() / fmt::format("moe-prompts-{}", ::getpid());
    setenv("XDG_CACHE_HOME", folder.c_str(), 1);
    const moe::Rates rates(moe::Rates::default_file());
    for (int process = 0; process < 2; ++process)  // which agree, so that it is not measured again
        rates.keep(moe::upload_name(gpu.device()), options.link_bytes_per_s);
    Weights weights(options.layers);
    const auto cache_bytes = static_cast<uint64_t>(options.cache / 100 * static_cast<double>(weights.bytes()));
    setenv("GGML_MOE_CACHE", cache_bytes > 0 ? fmt::format("auto:{}", cache_bytes).c_str() : "off", 1);
    const Engine stock(gpu, weights.of_cpu(), false, options), plugin(gpu, weights.of_plugin(), true, options);
    if (cache_bytes > 0) fill_cache(plugin);
    Json rows = Json::array();
    for (const int tokens : options.tokens)
        rows.push_back(measure(options, stock, plugin, gpu, tokens));
    fs::remove_all(folder);
    const Json document{{"date", fmt::format("{:%Y-%m-%d}", fmt::gmtime(std::time(nullptr)))},
                        {"conditions", conditions_of(options)},
                        {"rows", rows}};
    if (options.json) {
        fmt::print("{}\n", shimmy::json_text(document));
    } else {
        print(rows);
    }
}

}  // namespace

int main(int argc, char ** argv) {
    try {
        run(parse(argc, argv));
        return 0;
    } catch (const std::exception & error) {
        fmt::print(stderr, "moe-prompts: {}\n", error.what());
        return 1;
    }
}

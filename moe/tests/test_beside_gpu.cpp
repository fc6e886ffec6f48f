// llama.cpp with two GPUs, a model whose experts are in host memory, and the plugin: against the same without it. Where
// there is no GPU, the two are Mesa's software device.
//
// usage: ggml-moe-gpu-test GPU_MODULE PLUGIN MODEL
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <functional>
#include <map>

#include "environment.h"
#include "ggml-backend.h"
#include "ggml-moe.h"
#include "llama-ext.h"
#include "llama.h"

namespace {

const char *module_file, *plugin_file, *model_file;
ggml_backend_reg_t plugin;  // null until it is loaded

template <class Fn>
Fn proc(const char * name) {
    return reinterpret_cast<Fn>(ggml_backend_reg_get_proc_address(plugin, name));
}

// Tokens that the plugin's experts got.
uint64_t hits() {
    const auto get = proc<ggml_moe_expert_stats_t>("ggml_moe_experts");
    std::vector<ggml_moe_expert_stat> all(get(nullptr, 0));
    get(all.data(), all.size());
    uint64_t n = 0;
    for (const auto & s : all) {
        n += s.hits;
    }
    return n;
}

struct Options {
    llama_split_mode split = LLAMA_SPLIT_MODE_LAYER;
    bool cpu_moe = true, op_offload = true, all_devices = true;
    int32_t gpu_layers = 99;
};

struct Result {
    std::vector<float> logits;                    // after the prompt, then after every token
    std::map<std::string, size_t> compute_bytes;  // by device
    uint64_t hits_of_prompt = 0, hits_of_decode = 0;
};

constexpr int PROMPT = 40, DECODE = 2;  // ggml streams batches of 32 tokens or more

Result run(const Options & s) {
    llama_model_params mp = llama_model_default_params();
    const llama_model_tensor_buft_override overrides[] = {
        {"\\.ffn_(up|down|gate)_exps", ggml_backend_cpu_buffer_type()}, {nullptr, nullptr}};
    ggml_backend_dev_t none[] = {nullptr};
    mp.n_gpu_layers = s.gpu_layers;
    mp.split_mode = s.split;
    if (s.cpu_moe) mp.tensor_buft_overrides = overrides;
    if (!s.all_devices) mp.devices = none;
    llama_model * model = llama_model_load_from_file(model_file, mp);
    llama_context_params cp = llama_context_default_params();
    cp.n_ctx = cp.n_batch = cp.n_ubatch = 256;
    cp.op_offload = s.op_offload;
    llama_context * ctx = llama_init_from_model(model, cp);
    Result r;
    for (const auto & [type, bytes] : llama_get_memory_breakdown(ctx)) {
        if (ggml_backend_dev_t dev = ggml_backend_buft_get_device(type)) {
            if (!ggml_backend_buft_is_host(type)) r.compute_bytes[ggml_backend_dev_name(dev)] += bytes.compute;
        }
    }
    const int32_t n_vocab = llama_vocab_n_tokens(llama_model_get_vocab(model));
    const auto decode = [&](std::vector<llama_token> tokens) {
        EXPECT_EQ(llama_decode(ctx, llama_batch_get_one(tokens.data(), static_cast<int32_t>(tokens.size()))), 0);
        const float * logits = llama_get_logits_ith(ctx, -1);
        r.logits.insert(r.logits.end(), logits, logits + n_vocab);
    };
    std::vector<llama_token> prompt;
    for (int i = 0; i < PROMPT; ++i) {
        prompt.push_back(3 + i * 37 % 500);
    }
    const uint64_t before = plugin ? hits() : 0;
    decode(prompt);
    const uint64_t after = plugin ? hits() : 0;
    for (int i = 0; i < DECODE; ++i) {
        decode({3 + i * 11});
    }
    r.hits_of_prompt = after - before;
    r.hits_of_decode = (plugin ? hits() : 0) - after;
    llama_free(ctx);
    llama_model_free(model);
    return r;
}

double nmse(const std::vector<float> & a, const std::vector<float> & b) {
    double err = 0, ref = 0;
    for (size_t i = 0; i < b.size(); ++i) {
        err += std::pow(double(a[i]) - double(b[i]), 2);
        ref += std::pow(double(b[i]), 2);
    }
    return std::isfinite(err) && a.size() == b.size() ? err / ref : INFINITY;
}

// Stock's results, from before the plugin came.
struct Stock {
    Result layers, tensors, no_offload, partial;
};
Stock & stock() {
    static Stock s;
    return s;
}

Options with(const std::function<void(Options &)> & change) {
    Options s;
    change(s);
    return s;
}
const Options LAYERS, TENSORS = with([](Options &s) { s.split = LLAMA_SPLIT_MODE_TENSOR; }),
                      NO_OFFLOAD = with([](Options &s) { s.op_offload = false; }),
                      PARTIAL = with([](Options &s) { s.cpu_moe = false, s.gpu_layers = 2; });

void min_batch(const char * n) {
    moe_test::set_variable("GGML_MOE_GPU_MIN_BATCH", n);
}

constexpr double CLOSE = 1e-4;  // the GPU computes in half precision: 1e-5 seen

}  // namespace

TEST(BesideGpu, LargeBatchesAreStreamedAndSmallOnesAreOurs) {
    min_batch("33");
    const Result r = run(LAYERS);
    EXPECT_LT(nmse(r.logits, stock().layers.logits), CLOSE);
    EXPECT_EQ(r.hits_of_prompt, 4u) << "the last layer computes the last token alone";
    EXPECT_GT(r.hits_of_decode, 0u);
    EXPECT_EQ(r.compute_bytes, stock().layers.compute_bytes) << "GPU memory is stock's";
}
TEST(BesideGpu, AllAreOursIfToldSo) {
    min_batch("0");
    const Result r = run(LAYERS);
    EXPECT_LT(nmse(r.logits, stock().layers.logits), CLOSE);
    EXPECT_GT(r.hits_of_prompt, 0u);
    size_t ours = 0, theirs = 0;
    for (const auto & [name, bytes] : r.compute_bytes) {
        ours += bytes;
    }
    for (const auto & [name, bytes] : stock().layers.compute_bytes) {
        theirs += bytes;
    }
    EXPECT_LT(ours, theirs) << "no room for uploads is reserved";
}
TEST(BesideGpu, ProgramsThatTurnOffloadOffSayNever) {
    min_batch("0");
    const Result r = run(NO_OFFLOAD);
    EXPECT_LT(nmse(r.logits, stock().no_offload.logits), CLOSE);
    EXPECT_GT(r.hits_of_prompt, 0u);
}
TEST(BesideGpu, SmallerBatchesThanTheLeastAreOurs) {
    min_batch("41");
    const Result r = run(LAYERS);
    EXPECT_LT(nmse(r.logits, stock().layers.logits), CLOSE);
    EXPECT_GT(r.hits_of_prompt, 0u);
}
// One device split by tensors cannot be streamed to, so all is ours; it must not take the plugin for one of its parts.
TEST(BesideGpu, SplitByTensors) {
    min_batch("33");
    const Result r = run(TENSORS);
    EXPECT_LT(nmse(r.logits, stock().tensors.logits), CLOSE);
    EXPECT_GT(r.hits_of_prompt, 0u);
    EXPECT_GT(r.hits_of_decode, 0u);
    Options no_experts = TENSORS;
    no_experts.cpu_moe = false;
    EXPECT_LT(nmse(run(no_experts).logits, stock().tensors.logits), CLOSE);
}
TEST(BesideGpu, ProgramsWithoutGpuLayersOrDevices) {
    min_batch("33");
    const Result some = run(PARTIAL), none = run(with([](Options &s) { s.all_devices = false; }));
    EXPECT_LT(nmse(some.logits, stock().partial.logits), CLOSE);
    EXPECT_LT(nmse(none.logits, stock().layers.logits), CLOSE);
    EXPECT_GT(none.hits_of_prompt, 0u) << "nobody else would have been fast";
}

int main(int argc, char ** argv) {
    testing::InitGoogleTest(&argc, argv);
    if (argc != 4) return 2;
    module_file = argv[1], plugin_file = argv[2], model_file = argv[3];
    llama_log_set(
        [](ggml_log_level level, const char * text, void *) {
            if (level >= GGML_LOG_LEVEL_ERROR) {
                std::fputs(text, stderr);
            }
        },
        nullptr);
    llama_backend_init();
    if (ggml_backend_load(module_file) == nullptr ||
        ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_GPU) == nullptr) {
        std::puts("this machine has no GPU that the module can use");
        return 0;
    }
    stock() = {run(LAYERS), run(TENSORS), run(NO_OFFLOAD), run(PARTIAL)};
    plugin = ggml_backend_load(plugin_file);
    if (plugin == nullptr) return 1;
    return RUN_ALL_TESTS();
}

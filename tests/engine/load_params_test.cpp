// Choices of a user as llama.cpp's parameters: no model is loaded here.
#include "engine/load/load_params.h"

#include "base/error.h"
#include "base/host/host.h"
#include "engine/device/modelled_device.h"
#include "engine/device/rpc.h"
#include "engine/load/expert_pattern.h"
#include "gguf/model_info.h"
#include "tiny_moe.h"

#include <gtest/gtest.h>
#include "error_of.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <algorithm>
#include <csignal>
#include <iterator>
#include <regex>
#include <thread>

namespace shimmy::engine {
namespace {

LoadOptions options_with(Placement placement, const std::string & device = MODELLED_CUDA) {
    LoadOptions options = options_for(device, placement);
    options.n_ctx = 0;
    return options;
}

TEST(LoadParams, PlacementsAreOverridesOfExpertTensors) {
    const LoadParams none(options_with(Placement::baseline()), true);
    EXPECT_EQ(none.overrides().size(), 1U);
    EXPECT_EQ(none.overrides().back().pattern, nullptr);
    EXPECT_EQ(none.model_params().tensor_buft_overrides, nullptr);

    const LoadParams all(options_with(Placement::offload()), true);
    ASSERT_EQ(all.overrides().size(), 2U);
    EXPECT_EQ(all.overrides()[1].pattern, nullptr);
    EXPECT_EQ(all.overrides()[0].buft, ggml_backend_cpu_buffer_type());
    EXPECT_EQ(all.model_params().tensor_buft_overrides, all.overrides().data());

    const LoadParams three(options_with(Placement::partial(3)), true);
    ASSERT_EQ(three.overrides().size(), 2U);
    EXPECT_EQ(three.overrides()[1].pattern, nullptr);
    EXPECT_EQ(three.overrides()[0].buft, ggml_backend_cpu_buffer_type());
    for (int layer = 0; layer < 12; ++layer) {
        const std::string name = fmt::format("blk.{}.ffn_up_exps.weight", layer);
        EXPECT_EQ(std::regex_search(name, std::regex(three.overrides()[0].pattern)), layer < 3) << name;
        EXPECT_TRUE(std::regex_search(name, std::regex(all.overrides()[0].pattern)));
    }
}

// The tensors of llama.cpp's own option, which makes a pattern for each layer.
TEST(LoadParams, OnePatternNamesTheExpertsOfTheFirstLayers) {
    const auto names_of = [](int layer) {
        std::vector<std::string> names;
        for (const char * end : {"up_exps.weight", "down_exps.bias", "gate_up_exps.weight", "gate_chexps.weight",
                                 "up_shexp.weight", "gate_inp.weight"})
            names.push_back(fmt::format("blk.{}.ffn_{}", layer, end));
        return names;
    };
    for (const int n_layers : {1, 2, 9, 10, 11, 19, 20, 21, 94, 99, 100, 101, 110, 120, 123, 200, 512}) {
        std::vector<llama_model_tensor_buft_override> own;
        llm_add_n_cpu_ffn_overrides(n_layers, LLM_FFN_EXPS_REGEX, own);
        const std::regex ours(experts_below(n_layers));
        for (const int layer :
             {0,   1,   2,   8,   9,   10,  11,  12,  18,  19,  20,  21,  22,  29,  92,  93,  94,  95,  98,  99,
              100, 101, 109, 110, 111, 119, 120, 121, 122, 123, 124, 199, 200, 201, 209, 499, 511, 512, 513, 1000}) {
            // Its pattern of this layer, if it made one.
            const auto at = static_cast<size_t>(layer);
            for (const std::string & name : names_of(layer)) {
                const bool theirs = at < own.size() && std::regex_search(name, std::regex(own[at].pattern));
                EXPECT_EQ(std::regex_search(name, ours), theirs) << n_layers << " " << name;
            }
        }
    }
}

TEST(LoadParams, AModelledCardIsForEstimatesOnly) {
    const LoadParams params(options_with(Placement::baseline()), true);
    EXPECT_EQ(params.device().name, "CUDA-modelled");
    EXPECT_EQ(params.device().backend, "CUDA");
    EXPECT_TRUE(params.device().is_gpu());
    ASSERT_EQ(params.backend_devices().size(), 2U);
    EXPECT_EQ(params.backend_devices()[0], modelled_cuda_device());
    EXPECT_EQ(params.backend_devices()[1], nullptr);
    EXPECT_EQ(params.model_params().n_gpu_layers, -1);
    EXPECT_TRUE(params.model_params().no_alloc);
    EXPECT_EQ(params.model_params().load_mode, LLAMA_LOAD_MODE_NONE);
    EXPECT_EQ(error_of([] { const LoadParams real(options_with(Placement::baseline()), false); }),
              "device 'modelled-cuda' exists for estimates only");
}

TEST(LoadParams, OnTheCpuNoDeviceIsInUse) {
    const LoadParams params(options_with(Placement::baseline(), "cpu"), false);
    EXPECT_EQ(params.backend_devices(), (std::vector<ggml_backend_dev_t>{nullptr}));
    EXPECT_EQ(params.model_params().n_gpu_layers, 0);
    EXPECT_FALSE(params.model_params().no_alloc);
    EXPECT_EQ(params.model_params().load_mode, llama_model_default_params().load_mode);
    EXPECT_EQ(params.device().kind, DeviceKind::cpu);
}

// As llama.cpp does: all hardware GPUs unless one is named.
TEST(LoadParams, WithoutANameEveryHardwareGpuIsInUse) {
    std::vector<ggml_backend_dev_t> expected;
    load_backends();
    for (const Device & device : devices()) {
        if (device.kind == DeviceKind::gpu && !device.software)
            expected.push_back(ggml_backend_dev_by_name(device.name.c_str()));
    }
    expected.push_back(nullptr);
    EXPECT_EQ(LoadParams(options_with(Placement::baseline(), ""), true).backend_devices(), expected);
    for (const Device & device : devices()) {
        if (!device.is_gpu()) continue;
        EXPECT_EQ(LoadParams(options_with(Placement::baseline(), device.name), true).backend_devices(),
                  (std::vector<ggml_backend_dev_t>{ggml_backend_dev_by_name(device.name.c_str()), nullptr}));
    }
}

TEST(LoadParams, ContextsHaveLimitsAndDefaults) {
    LoadOptions options = options_with(Placement::baseline());
    options.n_threads = 3;
    options.n_parallel = 2;
    options.n_batch = 100;
    options.n_ubatch = 30;
    const auto context = [&](uint32_t n_ctx, uint32_t n_trained) {
        options.n_ctx = n_ctx;
        return LoadParams(options, true).context_params(n_trained);
    };
    EXPECT_EQ(context(0, 10'000).n_ctx, 2U * 4096);
    EXPECT_EQ(context(0, 4095).n_ctx, 2U * 4095);
    EXPECT_EQ(context(1, 4096).n_ctx, 2U);
    EXPECT_EQ(context(4096, 4096).n_ctx, 2U * 4096);
    EXPECT_EQ(error_of([&] { context(4097, 4096); }),
              options.path +
                  ": a context of 4097 tokens was asked for, but the model was trained for 4096 (--ctx 4096 "
                  "at most)");
    const llama_context_params params = context(4096, 4096);
    EXPECT_EQ(params.n_seq_max, 2U);
    EXPECT_EQ(params.n_batch, 100U);
    EXPECT_EQ(params.n_ubatch, 30U);
    EXPECT_EQ(params.n_threads, 3);
    EXPECT_EQ(params.n_threads_batch, 3);
    EXPECT_TRUE(params.no_perf);
    EXPECT_EQ(context(20, 4096).n_batch, 40U) << "no larger than the context";
    EXPECT_EQ(context(10, 4096).n_ubatch, 20U) << "no larger than the batch";
    EXPECT_EQ(LoadParams(options, true).n_threads(), 3);
    options.n_threads = 0;
    EXPECT_EQ(LoadParams(options, true).n_threads(), default_threads());
}

TEST(LoadParams, ReasonsAreLlamaCpps) {
    LoadOptions options = options_with(Placement::baseline(), "cpu");
    options.path = "/no/such/file.gguf";
    const std::string error = error_of([&] { LoadParams(options, true).load_model(); });
    EXPECT_TRUE(error.starts_with("/no/such/file.gguf: ")) << error;
    EXPECT_EQ(error.find('\n'), std::string::npos) << error;
}

TEST(LoadParams, HostBuffersLieInRam) {
    load_backends();
    EXPECT_TRUE(is_in_ram(ggml_backend_cpu_buffer_type()));
    EXPECT_FALSE(is_in_ram(ggml_backend_dev_buffer_type(modelled_cuda_device())));
}

TEST(LoadParams, MemoryIsListedInTheSameOrderEveryTime) {
    const LoadParams params(options_with(Placement::offload()), true);
    const llama_model_ptr model = params.load_model();
    const llama_context_ptr context = params.make_context(model.get());
    const MemoryUse use = read_memory(context.get());
    ASSERT_GE(use.buffers.size(), 2U);
    EXPECT_FALSE(use.buffers.front().host);
    EXPECT_EQ(use.buffers.front().device, "CUDA-modelled");
    EXPECT_EQ(use.buffers.front().buffer_type, "CUDA-modelled");
    EXPECT_TRUE(use.buffers.back().host);
    EXPECT_EQ(use.buffers.back().device, "CPU");
    for (const BufferMemory & buffer : use.buffers)
        EXPECT_GT(buffer.total_bytes(), 0U);
    const uint64_t experts = gguf::read_model_info(TINY_MOE).expert_bytes;
    EXPECT_GE(use.host().model_bytes, experts);
    EXPECT_GT(use.vram().model_bytes, 0U);
}

TEST(Devices, AreFoundByNameAndKind) {
    load_backends();
    EXPECT_EQ(find_device("cpu").kind, DeviceKind::cpu);
    EXPECT_EQ(find_device("CPU").name, find_device("cpu").name);
    const std::vector<Device> all = devices();
    const auto cpu = std::find_if(all.begin(), all.end(), [](const Device & d) { return d.kind == DeviceKind::cpu; });
    ASSERT_NE(cpu, all.end());
    EXPECT_EQ(cpu->memory_total_bytes, host().ram_bytes);
    EXPECT_LT(cpu->memory_free_bytes, cpu->memory_total_bytes);
    EXPECT_FALSE(cpu->software) << "a CPU is what it says";
    EXPECT_EQ(cpu->backend, "CPU");
    EXPECT_TRUE(std::is_sorted(all.begin(), all.end(), [](const Device & a, const Device & b) {
        return a.is_gpu() > b.is_gpu();
    })) << "GPUs first";
    const auto gpu = std::find_if(all.begin(), all.end(), [](const Device & d) { return d.is_gpu(); });
    const auto hardware =
        std::find_if(all.begin(), all.end(), [](const Device & d) { return d.is_gpu() && !d.software; });
    EXPECT_EQ(find_device("").name, hardware == all.end() ? cpu->name : hardware->name);
    if (gpu != all.end()) {
        EXPECT_EQ(find_device("gpu").name, hardware == all.end() ? gpu->name : hardware->name);
        EXPECT_EQ(find_device(gpu->name).description, gpu->description) << "software devices too, when named";
    }
    const std::string error = error_of([] { find_device("nonsense"); });
    EXPECT_TRUE(error.starts_with("device 'nonsense' not found (there is: ")) << error;
    EXPECT_NE(error.find("CPU"), std::string::npos) << error;
    EXPECT_STREQ(to_string(DeviceKind::cpu), "cpu");
    EXPECT_STREQ(to_string(DeviceKind::gpu), "gpu");
    EXPECT_STREQ(to_string(DeviceKind::integrated_gpu), "integrated_gpu");
    EXPECT_STREQ(to_string(DeviceKind::accelerator), "accelerator");
}

TEST(Devices, TheMoeBackendIsNotLoadedWhereItIsOff) {
    load_backends();
    EXPECT_FALSE(load_moe_backend("off"));
}

TEST(Rpc, AddressesHaveAHostAndAPort) {
    for (const char * address : {"host", ":50052", "host:"}) {
        EXPECT_EQ(
            error_of([&] { add_rpc_servers(address); }),
            fmt::format("--rpc: '{}' is no address: it needs a host and a port, as in 192.168.1.7:50052", address));
    }
    // Port 1 of this machine: nobody listens there.
    EXPECT_EQ(error_of([] { add_rpc_servers("127.0.0.1:1"); }),
              "--rpc 127.0.0.1:1: cannot be reached: is llama.cpp's ggml-rpc-server running there?");
    EXPECT_NO_THROW(add_rpc_servers(""));
}

auto n_open_files() {
    return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator());
}

TEST(Rpc, SomebodyElseAtThatAddressIsTold) {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    ASSERT_EQ(::bind(listener, reinterpret_cast<const sockaddr *>(&address), size), 0);
    ASSERT_EQ(::listen(listener, 8), 0);
    ASSERT_EQ(::getsockname(listener, reinterpret_cast<sockaddr *>(&address), &size), 0);
    std::thread hangs_up([&] {
        for (int fd = 0; (fd = ::accept(listener, nullptr, nullptr)) >= 0;)
            ::close(fd);
    });
    std::signal(SIGPIPE, SIG_IGN);  // as every program of ours has it
    const std::string server = fmt::format("127.0.0.1:{}", ntohs(address.sin_port));
    EXPECT_EQ(error_of([&] { add_rpc_servers(server); }),
              fmt::format("--rpc {}: no ggml-rpc-server of llama.cpp v0.5.0 answers there", server));
    ::shutdown(listener, SHUT_RDWR);
    hangs_up.join();
    ::close(listener);
    const auto n_before = n_open_files();
    EXPECT_NE(error_of([] { add_rpc_servers("127.0.0.1:1"); }), "");
    EXPECT_EQ(n_open_files(), n_before);
}

}  // namespace
}  // namespace shimmy::engine

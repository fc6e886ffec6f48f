// libFuzzer entry: a model's header with other values under its keys, loaded without allocating. It must end in figures
// or in an Error of one line that names the file, never in an assertion of llama.cpp or a crash.
#include "base/error.h"
#include "complain.h"
#include "engine/device/device.h"
#include "engine/predict/fit.h"

#include "ggml-cpp.h"
#include "gguf.h"

#include <fuzzer/FuzzedDataProvider.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

namespace {

constexpr const char * MODEL = "models/tiny-moe/tiny-moe-f16.gguf";
constexpr const char * NAME = "the model";

// Keys that change what a model is; those of the vocabulary stay, they are many and have a check of their own.
std::vector<std::string> keys() {
    const gguf_context_ptr context(gguf_init_from_file(MODEL, {/*no_alloc=*/true, nullptr}));
    std::vector<std::string> names{"deepseek.rope.scaling.type",
                                   "deepseek.rope.scaling.factor",
                                   "deepseek.attention.key_length",
                                   "deepseek.attention.value_length",
                                   "deepseek.attention.sliding_window",
                                   "deepseek.expert_group_count",
                                   "deepseek.expert_group_used_count",
                                   "deepseek.nextn_predict_layers",
                                   "deepseek.attention.causal",
                                   "deepseek.pooling_type",
                                   "tokenizer.ggml.model",
                                   "general.alignment"};
    for (int64_t i = 0; i < gguf_get_n_kv(context.get()); ++i) {
        const std::string key = gguf_get_key(context.get(), i);
        if (!key.starts_with("tokenizer.ggml.t") && !key.starts_with("tokenizer.ggml.merges")) names.push_back(key);
    }
    return names;
}

void set_something(gguf_context * context, const std::string & key, FuzzedDataProvider & data) {
    const uint32_t small = data.ConsumeIntegralInRange<uint32_t>(0, 1024);
    switch (data.ConsumeIntegralInRange(0, 9)) {
        case 0:
            return (void)gguf_remove_key(context, key.c_str());
        case 1:
            return gguf_set_val_u32(context, key.c_str(), data.ConsumeIntegral<uint32_t>());
        case 2:
            return gguf_set_val_i32(context, key.c_str(), data.ConsumeIntegral<int32_t>());
        case 3:
            return gguf_set_val_f32(context, key.c_str(), data.ConsumeFloatingPoint<float>());
        case 4:
            return gguf_set_val_f32(context, key.c_str(), std::nanf(""));
        case 5:
            return gguf_set_val_str(context, key.c_str(), data.ConsumeRandomLengthString(16).c_str());
        case 6: {
            const std::vector<int32_t> list(data.ConsumeIntegralInRange<size_t>(0, 8), data.ConsumeIntegral<int32_t>());
            return gguf_set_arr_data(context, key.c_str(), GGUF_TYPE_INT32, list.data(), list.size());
        }
        default:
            return gguf_set_val_u32(context, key.c_str(), small);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t * bytes, size_t n_bytes) {
    static const std::vector<std::string> names = keys();
    static const bool ready = [] {
        shimmy::engine::load_backends("cpu");
        return true;
    }();
    (void)ready;
    FuzzedDataProvider data(bytes, n_bytes);
    ggml_context * tensors = nullptr;
    const gguf_context_ptr context(gguf_init_from_file(MODEL, {/*no_alloc=*/true, &tensors}));
    const ggml_context_ptr holds(tensors);
    for (int i = data.ConsumeIntegralInRange(1, 4); i > 0; --i) {
        const std::string & key = names[data.ConsumeIntegralInRange<size_t>(0, names.size() - 1)];
        if (key != "general.alignment") set_something(context.get(), key, data);  // ggml asserts what it writes
    }
    std::vector<uint8_t> header(gguf_get_meta_size(context.get()));
    gguf_get_meta_data(context.get(), header.data());
    const int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || write(fd, header.data(), header.size()) != static_cast<ssize_t>(header.size()) ||
        ftruncate(fd, static_cast<off_t>(header.size() + (size_t{64} << 20))) != 0)
        shimmy::fuzz::complain("memfd", "cannot be written");
    shimmy::engine::LoadOptions options;
    options.path = "/proc/self/fd/" + std::to_string(fd);
    options.device = "cpu";
    options.n_threads = 1;
    try {
        shimmy::engine::require_loadable(options);
    } catch (const shimmy::Error & error) {
        const std::string message = error.what();
        if (message.find('\n') != std::string::npos) shimmy::fuzz::complain("an error of several lines", message);
        if (!message.starts_with(options.path + ": ")) shimmy::fuzz::complain("an error without the file", message);
    }
    close(fd);
    return 0;
}

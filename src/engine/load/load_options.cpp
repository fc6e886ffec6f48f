#include "engine/load/load_options.h"

#include "base/error.h"
#include "base/text/text.h"
#include "engine/device/modelled_device.h"

#include <algorithm>

namespace shimmy::engine {

namespace {

constexpr uint32_t DEFAULT_N_CTX = 4096;

Device describe_modelled(size_t card) {
    const ggml_backend_dev_t modelled = modelled_cuda_device(card);
    Device device;
    device.name = ggml_backend_dev_name(modelled);
    device.description = ggml_backend_dev_description(modelled);
    device.backend = "CUDA";
    device.kind = DeviceKind::gpu;
    return device;
}

}  // namespace

const gguf::GgufFile & LoadOptions::open_file() {
    if (file && file->path() == path) return *file;
    try {
        file = std::make_shared<const gguf::GgufFile>(path);
    } catch (const Error & error) {
        const std::string why = error.what();
        if (name.empty() || !why.starts_with(path + ": ")) throw;
        fail("{}{}", name, why.substr(path.size()));
    }
    return *file;
}

std::string modelled_cards(size_t n_cards) {
    std::string result = MODELLED_CUDA;
    for (size_t i = 1; i < n_cards; ++i)
        result += std::string(",") + MODELLED_CUDA;
    return result;
}

std::vector<Device> gpus_in_use(const std::string & device) {
    std::vector<Device> result;
    if (device.starts_with(MODELLED_CUDA)) {
        for (size_t card = 0; card < split(device, ',').size(); ++card)
            result.push_back(describe_modelled(card));
        return result;
    }
    result = find_devices(device);
    if (!result.front().is_gpu()) result.clear();
    return result;
}

uint32_t context_size(const LoadOptions & options, uint32_t n_ctx_trained) {
    if (options.n_ctx > n_ctx_trained) {
        fail_usage("{}: a context of {} tokens was asked for, but the model was trained for {} (--ctx {} at most)",
                   options.shown_name(), options.n_ctx, n_ctx_trained, n_ctx_trained);
    }
    const uint32_t n_ctx = options.n_ctx > 0 ? options.n_ctx : std::min(DEFAULT_N_CTX, n_ctx_trained);
    return n_ctx * options.n_parallel;
}

}  // namespace shimmy::engine

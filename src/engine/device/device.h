// Compute devices, and which of the modules that bring them are loaded.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace shimmy::engine {

enum class DeviceKind { cpu, gpu, integrated_gpu, accelerator };

inline constexpr size_t MAX_CARDS = 8;  // of a machine that is modelled

struct Device {
    std::string name;         // ggml's name: "CPU", "Vulkan0", "CUDA0"
    std::string description;  // "NVIDIA H200", "llvmpipe (LLVM 15.0.6, 256 bits)"
    std::string backend;      // "CPU", "Vulkan", "CUDA"
    DeviceKind kind = DeviceKind::cpu;
    bool software = false;  // a GPU API computed on the CPU: right results, speed without meaning
    uint64_t memory_free_bytes = 0;
    uint64_t memory_total_bytes = 0;

    bool is_gpu() const { return kind == DeviceKind::gpu || kind == DeviceKind::integrated_gpu; }
};

const char * to_string(DeviceKind kind);

// Loads the modules that lie beside the program's libraries. The first call decides; later ones do nothing.
// `backend` limits GPU modules to one ("vulkan", "cuda", "opencl"), "cpu" loads none, "auto" loads what is there.
// Throws Error if the one that was named cannot be loaded.
void load_backends(const std::string & backend = "auto");

// Loads libggml-moe, the backend for weights in host memory, if it lies beside the program's libraries, and returns
// whether it is in use. "auto": if it can be loaded; next to a GPU it leaves llama.cpp the large prefill batches that
// are faster streamed to the GPU. "on": the same, but throws Error if it cannot be loaded. "off": never. To be called
// before a model is loaded.
// `cache`: GGML_MOE_CACHE (moe/README.md); "auto" leaves to the environment what it says.
bool load_moe_backend(const std::string & mode, const std::string & cache = "auto");

bool is_moe_backend_loaded();

// What load_moe_backend() was told of experts in VRAM: "auto", "off" or a size.
std::string expert_cache_setting();
// What libggml-moe does for the models that are loaded from now on (GGML_MOE_CACHE, moe/README.md).
void set_expert_cache(const std::string & setting);

// RAM for experts that are read from disk: "auto" (if the model does not fit), "on" or "off", for the models that are
// loaded from now on, in processes that this one starts as well (GGML_MOE_RAM, moe/README.md).
void set_expert_ram(const std::string & setting);

// From how many tokens on libggml-moe leaves a batch to a GPU beside it, which streams the experts; 0: never
// (GGML_MOE_GPU_MIN_BATCH, moe/README.md). For the models that are loaded from now on.
void set_gpu_min_batch(int n_tokens);

// It leaves none: what checks its kernels feeds them large ones, and with --no-op-offload no GPU would take any.
void keep_batches_in_moe_backend();

// Every device, GPUs first.
std::vector<Device> devices();

// What `--device` asks for. "": the GPUs that are hardware, else the CPU. "gpu": the first GPU, a software one if there
// is no other. "cpu": the CPU. Else a name as in devices(), in any case, or those of several GPUs: "CUDA0,CUDA1".
// Throws UsageError listing the names.
std::vector<Device> find_devices(const std::string & names);
// The first of them.
Device find_device(const std::string & names);

}  // namespace shimmy::engine

#include "engine/device/device.h"

#include "base/error.h"
#include "base/files.h"
#include "base/host/host.h"
#include "base/text/text.h"
#include "engine/device/modules.h"

#include "ggml-backend.h"
#include "llama.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <mutex>

namespace shimmy::engine {

namespace {

constexpr std::array GPU_BACKENDS{"cuda", "vulkan", "opencl"};  // in order of preference on one device

std::string asked_expert_cache = "auto";

// As it was when this process started.
std::string expert_cache_in_environment() {
    static const std::string setting = [] {
        const char * text = std::getenv("GGML_MOE_CACHE");
        return std::string(text == nullptr || *text == '\0' ? "auto" : text);
    }();
    return setting;
}

bool has_gpu_device_node() {
    for (const char * node : {"/dev/dri", "/dev/nvidiactl", "/dev/kfd", "/dev/dxg"}) {
        if (fs::exists(node)) return true;
    }
    return false;
}

bool has_software_vulkan() {
    for (const char * dir : {"/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"}) {
        std::error_code ignored;
        for (const auto & entry : fs::directory_iterator(dir, ignored)) {
            if (entry.path().filename().string().starts_with("lvp_icd")) return true;
        }
    }
    return false;
}

// ggml-vulkan passes over software devices unless it is told which to take. Where the machine has no GPU at all, the
// only Vulkan device is the software one, with index 0.
void accept_software_vulkan() {
    if (!has_gpu_device_node() && has_software_vulkan()) setenv("GGML_VK_VISIBLE_DEVICES", "0", /*overwrite=*/0);
}

// Of OpenCL, no module is published.
std::string how_to_get(const std::string & name) {
    return name == "opencl" ? "build it with llama.cpp's own option: cmake -DGGML_OPENCL=ON"
                            : fmt::format("get it with: make gpu GPU={}", name);
}

void load_gpu_module(const std::string & name, bool required) {
    const fs::path file = module_file(name);
    const bool built_in = ggml_backend_reg_by_name(name == "cuda"     ? "CUDA"
                                                   : name == "vulkan" ? "Vulkan"
                                                                      : "OpenCL") != nullptr;
    if (built_in) return;
    if (!fs::exists(file)) {
        if (required) fail("--gpu-backend {}: {} is not there ({})", name, file.string(), how_to_get(name));
        return;
    }
    if (!load_module(file) && required) fail("--gpu-backend {}: {}", name, failed_modules().back().reason);
}

bool is_software(const std::string & description) {
    const std::string text = lower(description);
    return text.find("llvmpipe") != std::string::npos || text.find("lavapipe") != std::string::npos ||
           text.find("swiftshader") != std::string::npos;
}

DeviceKind kind_of(ggml_backend_dev_t device) {
    switch (ggml_backend_dev_type(device)) {
        case GGML_BACKEND_DEVICE_TYPE_GPU:
        case GGML_BACKEND_DEVICE_TYPE_META:
            return DeviceKind::gpu;
        case GGML_BACKEND_DEVICE_TYPE_IGPU:
            return DeviceKind::integrated_gpu;
        case GGML_BACKEND_DEVICE_TYPE_ACCEL:
            return DeviceKind::accelerator;
        case GGML_BACKEND_DEVICE_TYPE_CPU:
            break;
    }
    return DeviceKind::cpu;
}

Device describe(ggml_backend_dev_t device) {
    Device result;
    result.name = ggml_backend_dev_name(device);
    result.description = ggml_backend_dev_description(device);
    result.backend = ggml_backend_reg_name(ggml_backend_dev_backend_reg(device));
    result.kind = kind_of(device);
    result.software = result.is_gpu() && is_software(result.description);
    size_t free_bytes = 0;
    size_t total_bytes = 0;
    ggml_backend_dev_memory(device, &free_bytes, &total_bytes);
    // ggml says that all of the machine's RAM is free.
    result.memory_free_bytes = result.kind == DeviceKind::cpu ? available_ram_bytes() : free_bytes;
    result.memory_total_bytes = result.kind == DeviceKind::cpu ? host().ram_bytes : total_bytes;
    return result;
}

}  // namespace

const char * to_string(DeviceKind kind) {
    switch (kind) {
        case DeviceKind::gpu:
            return "gpu";
        case DeviceKind::integrated_gpu:
            return "integrated_gpu";
        case DeviceKind::accelerator:
            return "accelerator";
        case DeviceKind::cpu:
            return "cpu";
    }
    return "";  // there is no other
}

void load_backends(const std::string & backend) {
    static std::once_flag once;
    std::call_once(once, [&] {
        llama_backend_init();
        load_cpu_module();
        if (backend == "cpu") return;
        accept_software_vulkan();
        for (const std::string name : GPU_BACKENDS) {
            if (backend == "auto" || backend == name) load_gpu_module(name, backend == name);
        }
    });
}

bool load_moe_backend(const std::string & mode, const std::string & cache) {
    if (mode == "off") return false;
    asked_expert_cache = cache == "auto" ? expert_cache_in_environment() : cache;
    set_expert_cache(asked_expert_cache);
    if (is_moe_backend_loaded()) return true;
    const fs::path file = module_file("moe");
    if (!fs::exists(file)) {
        if (mode == "on") fail("--moe-backend on: {} is not there", file.string());
        return false;
    }
    if (load_module(file)) return true;
    if (mode == "on") fail("--moe-backend on: {}", failed_modules().back().reason);
    return false;
}

bool is_moe_backend_loaded() {
    return ggml_backend_reg_by_name("MoE") != nullptr;
}

std::string expert_cache_setting() {
    return asked_expert_cache;
}

void set_expert_cache(const std::string & setting) {
    setenv("GGML_MOE_CACHE", setting.c_str(), 1);
}

void set_expert_ram(const std::string & setting) {
    setenv("GGML_MOE_RAM", setting.c_str(), 1);
}

void set_gpu_min_batch(int n_tokens) {
    setenv("GGML_MOE_GPU_MIN_BATCH", std::to_string(n_tokens).c_str(), 1);
}

void keep_batches_in_moe_backend() {
    set_gpu_min_batch(0);
}

std::vector<Device> devices() {
    std::vector<Device> result;
    for (size_t i = 0; i < ggml_backend_dev_count(); ++i)
        result.push_back(describe(ggml_backend_dev_get(i)));
    std::stable_sort(result.begin(), result.end(),
                     [](const Device & a, const Device & b) { return a.is_gpu() > b.is_gpu(); });
    return result;
}

namespace {

Device find_one(const std::string & name) {
    const std::string wanted = lower(name);
    const std::vector<Device> all = devices();
    std::string names;
    for (const bool software : {false, true}) {  // hardware before software
        for (const Device & device : all) {
            const bool any_gpu = device.is_gpu() && (wanted == "gpu" || (wanted.empty() && !device.software));
            const bool named = lower(device.name) == wanted && device.kind != DeviceKind::accelerator;
            if (device.software == software && (any_gpu || named)) return device;
        }
    }
    for (const Device & device : all) {
        if (wanted.empty() && device.kind == DeviceKind::cpu) return device;
        if (device.kind != DeviceKind::accelerator) names += (names.empty() ? "" : ", ") + device.name;
    }
    fail_usage("device '{}' not found (there is: {}; see shimmy gpu-info)", name, names);
}

// Those that llama.cpp takes: integrated ones only where there is no other.
std::vector<Device> hardware_gpus() {
    std::vector<Device> result;
    for (const Device & device : devices()) {
        if (device.kind == DeviceKind::gpu && !device.software) result.push_back(device);
    }
    return result;
}

}  // namespace

std::vector<Device> find_devices(const std::string & names) {
    std::vector<Device> result;
    if (names.empty()) result = hardware_gpus();
    if (!result.empty()) return result;
    const std::vector<std::string> parts = split(names, ',');
    for (const std::string & name : parts) {
        if (name.empty() && parts.size() > 1) fail_usage("--device {}: a name is missing", names);
        const Device device = find_one(name);
        if (parts.size() > 1 && !device.is_gpu())
            fail_usage("--device {}: several devices must be GPUs, and {} is none", names, device.name);
        for (const Device & other : result) {
            if (other.name == device.name) fail_usage("--device {}: {} is named twice", names, device.name);
        }
        result.push_back(device);
    }
    return result;
}

Device find_device(const std::string & names) {
    return find_devices(names).front();
}

}  // namespace shimmy::engine

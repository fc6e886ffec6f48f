#include "pins.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <map>
#include <mutex>
#include <string>

#include "ggml/log.h"
#include "ggml/size.h"
#include "os/process.h"

namespace moe {

namespace {

using Lock = bool (*)(void *, size_t);
using Unlock = void (*)(void *);

struct Pin {
    Unlock unlock = nullptr;  // null: not locked
    void * data = nullptr;
    size_t bytes = 0;
};

std::mutex mutex;
std::map<const ggml_backend_buffer *, Pin> & pins() {
    static std::map<const ggml_backend_buffer *, Pin> all;
    return all;
}

uint64_t locked_bytes() {
    uint64_t bytes = 0;
    for (const auto & [buffer, pin] : pins()) {
        if (pin.unlock != nullptr) bytes += pin.bytes;
    }
    return bytes;
}

// GGML_MOE_PIN: how many bytes may be locked in all.
uint64_t budget() {
    const char * text = std::getenv("GGML_MOE_PIN");
    const std::string value = text == nullptr ? "" : text;
    if (value == "on") return std::numeric_limits<uint64_t>::max();
    size_t bytes = 0;
    if (value != "off" && !value.empty() && !parse_size(value, bytes)) {
        log_warn("GGML_MOE_PIN=%s is none of on, off or a size; nothing is page-locked\n", value.c_str());
    }
    return bytes;
}

Pin lock(ggml_backend_buffer_t weights, ggml_backend_dev_t gpu) {
    ggml_backend_reg_t reg = ggml_backend_dev_backend_reg(gpu);
    const auto lock_pages =
        reinterpret_cast<Lock>(ggml_backend_reg_get_proc_address(reg, "ggml_backend_register_host_buffer"));
    const auto unlock =
        reinterpret_cast<Unlock>(ggml_backend_reg_get_proc_address(reg, "ggml_backend_unregister_host_buffer"));
    Pin pin{nullptr, ggml_backend_buffer_get_base(weights), ggml_backend_buffer_get_size(weights)};
    const uint64_t most = budget();
    if (most == 0) return pin;
    os::set_default("GGML_CUDA_REGISTER_HOST", "1");  // without it, ggml's CUDA backend refuses
    const double gib = static_cast<double>(pin.bytes) / (1 << 30);
    if (lock_pages == nullptr || unlock == nullptr) {
        log_warn("%.2f GiB of experts are not page-locked: %s cannot do it\n", gib, ggml_backend_reg_name(reg));
    } else if (pin.bytes > most - std::min(most, locked_bytes())) {
        log_warn("%.2f GiB of experts are not page-locked: more than GGML_MOE_PIN leaves\n", gib);
    } else if (!lock_pages(pin.data, pin.bytes)) {
        log_warn("%.2f GiB of experts are not page-locked: the driver refused\n", gib);
    } else {
        pin.unlock = unlock;
    }
    return pin;
}

}  // namespace

void pin(ggml_backend_buffer_t weights, ggml_backend_dev_t gpu) {
    if (ggml_backend_buffer_get_size(weights) == 0) return;  // only measured
    std::lock_guard<std::mutex> held(mutex);
    if (pins().count(weights) == 0) pins()[weights] = lock(weights, gpu);
}

void unpin(const ggml_backend_buffer * weights) {
    std::lock_guard<std::mutex> held(mutex);
    const auto found = pins().find(weights);
    if (found == pins().end()) return;
    if (found->second.unlock != nullptr) found->second.unlock(found->second.data);
    pins().erase(found);
}

uint64_t pinned_bytes() {
    std::lock_guard<std::mutex> held(mutex);
    return locked_bytes();
}

}  // namespace moe

#include "engine/experts/compute_failure.h"

#include "engine/device/moe_plugin.h"

#include "ggml-moe.h"

#include <array>

namespace shimmy::engine {

ComputeFailures compute_failures() {
    const auto read = moe_function<ggml_moe_last_failure_t>("ggml_moe_last_failure");
    if (read == nullptr) return {};
    std::array<char, 4096> reason{};
    const uint64_t count = read(reason.data(), reason.size());
    return {count, reason.data()};
}

}  // namespace shimmy::engine

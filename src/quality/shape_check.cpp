#include "quality/shape_check.h"

#include "base/error.h"
#include "base/text/text.h"
#include "base/text/units.h"
#include "engine/device/device.h"
#include "engine/load/load_options.h"
#include "engine/load/memory.h"
#include "engine/load/placement.h"
#include "engine/run/model.h"
#include "gguf/expert_tensors.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace shimmy::quality {

namespace {

constexpr uint32_t N_CTX_FOR_CHECK = 512;  // placement does not depend on it; small loads faster
constexpr const char * PLACEMENT_CHECK = "experts under --cpu-moe";

class Checklist {
public:
    void same(const char * what, const std::optional<std::string> & expected, const std::string & got) {
        if (expected) add({what, passed(*expected == got), *expected, printable(got)});
    }

    void same(const char * what, const std::optional<int64_t> & expected, int64_t got) {
        if (expected) add({what, passed(*expected == got), fmt::format("{}", *expected), fmt::format("{}", got)});
    }

    void close(const char * what, const std::optional<double> & expected, double got, double tolerance) {
        if (!expected) return;
        add({what, passed(std::abs(got - *expected) <= tolerance * *expected),
             fmt::format("{} ± {:g}%", format_count(static_cast<uint64_t>(*expected)), tolerance * 100.0),
             fmt::format("{} ({:.0f})", format_count(static_cast<uint64_t>(got)), got)});
    }

    std::vector<ShapeCheck> checks;

private:
    static CheckStatus passed(bool passed) { return passed ? CheckStatus::pass : CheckStatus::fail; }
    void add(ShapeCheck check) { checks.push_back(std::move(check)); }
};

// Any GPU proves placement, a software one too.
std::optional<engine::Device> device_for_check(const std::string & name) {
    if (!name.empty()) return engine::find_device(name);
    const std::vector<engine::Device> devices = engine::devices();
    const auto gpu =
        std::find_if(devices.begin(), devices.end(), [](const engine::Device & device) { return device.is_gpu(); });
    return gpu == devices.end() ? std::nullopt : std::optional(*gpu);
}

ShapeCheck loaded_on(const std::string & file, const gguf::ModelInfo & info, const engine::Device & device) {
    ShapeCheck check{PLACEMENT_CHECK, CheckStatus::fail,
                     fmt::format("all {} in host memory", info.n_expert_tensors + info.n_expert_bias_tensors), ""};
    engine::LoadOptions load;
    load.path = file;
    load.placement = engine::Placement::offload();
    load.device = device.name;
    load.n_ctx = N_CTX_FOR_CHECK;
    load.warm_up = false;  // nothing is computed
    size_t n_on_host = 0;
    size_t n_on_device = 0;
    size_t n_others_on_device = 0;
    try {
        const engine::Model model(load);
        for (const engine::TensorPlacement & tensor : model.tensors()) {
            if (!gguf::is_moved_by_cpu_moe(tensor.name)) {
                n_others_on_device += tensor.host ? 0 : 1;
            } else {
                ++(tensor.host ? n_on_host : n_on_device);
            }
        }
    } catch (const Interrupted &) {
        throw;
    } catch (const Error & error) {
        check.got = fmt::format("not loaded: {}", error.what());
        return check;
    }
    const uint64_t n_expected = info.n_expert_tensors + info.n_expert_bias_tensors;
    const bool passed = n_on_device == 0 && n_on_host == n_expected && n_others_on_device > 0;
    check.status = passed ? CheckStatus::pass : CheckStatus::fail;
    check.got = fmt::format("{} expert tensors in host memory, {} on {}; {} other tensors on {}", n_on_host,
                            n_on_device, device.name, n_others_on_device, device.name);
    return check;
}

}  // namespace

const char * to_string(CheckStatus status) {
    switch (status) {
        case CheckStatus::pass:
            return "pass";
        case CheckStatus::fail:
            return "fail";
        case CheckStatus::skipped:
            return "skipped";
    }
    return "";  // there is no other
}

std::vector<ShapeCheck> check_metadata(const gguf::Expectations & expect, const gguf::ModelInfo & info) {
    Checklist list;
    list.same("architecture", expect.arch, info.arch);
    list.same("layers", expect.n_layers, info.n_layers);
    list.same("experts", expect.n_expert, info.n_expert);
    list.same("active experts", expect.n_expert_used, info.n_expert_used);
    list.same("shared experts", expect.n_expert_shared, info.n_expert_shared);
    list.close("parameters", expect.n_params, static_cast<double>(info.n_params), expect.tolerance);
    list.close("active parameters", expect.n_active_params, static_cast<double>(info.n_active_params),
               expect.tolerance);
    list.same("context length", expect.n_ctx_train, info.n_ctx_train);
    list.same("expert tensors", expect.n_expert_tensors, static_cast<int64_t>(info.n_expert_tensors));
    return std::move(list.checks);
}

ShapeCheck check_placement(const std::string & file, const gguf::ModelInfo & info, const std::string & name) {
    if (!info.cpu_moe_applies()) return skip_placement(info, "");
    const std::optional<engine::Device> device = device_for_check(name);
    if (!device || !device->is_gpu())
        return skip_placement(info, "not checked: no GPU, so every tensor is in host memory with or without --cpu-moe");
    return loaded_on(file, info, *device);
}

ShapeCheck skip_placement(const gguf::ModelInfo & info, const std::string & reason) {
    const char * expected = "all in host memory";
    if (!info.cpu_moe_applies())
        return {PLACEMENT_CHECK, CheckStatus::fail, expected, "no expert tensors: --cpu-moe does not apply"};
    return {PLACEMENT_CHECK, CheckStatus::skipped, expected, reason};
}

}  // namespace shimmy::quality

#include "engine/predict/fit.h"

#include "base/error.h"
#include "base/host/host.h"
#include "base/text/units.h"
#include "engine/load/load_params.h"
#include "engine/predict/estimate.h"
#include "engine/predict/share_layers.h"
#include "engine/predict/shortage.h"
#include "gguf/model_info.h"
#include "gguf/problems.h"

#include <algorithm>
#include <exception>
#include <limits>

namespace shimmy::engine {

namespace {

std::vector<Device> usable_gpus(const LoadOptions & options, bool with_margin) {
    return usable(gpus_in_use(options.device), options.vram_limit_bytes, with_margin);
}

LoadOptions with_placement(LoadOptions options, const Placement & placement, const std::vector<Device> & gpus) {
    options.placement = placement;
    return with_shared_layers(std::move(options), gpus);
}

CacheWish cache_wish() {
    if (!is_moe_backend_loaded() || expert_cache_setting() == "off") return CacheWish::none;
    return expert_cache_setting() == "auto" ? CacheWish::possible : CacheWish::asked;
}

// Beside the experts that a size is for, the cache keeps one slot for each kind of expert; a file has few kinds.
constexpr uint64_t SPARE_EXPERTS = 4;

uint64_t largest_expert_bytes(const gguf::ModelInfo & info) {
    uint64_t largest = 0;
    for (const uint64_t bytes : info.expert_bytes_per_layer)
        largest = std::max(largest, bytes);
    return info.n_expert > 0 ? largest / static_cast<uint64_t>(info.n_expert) : 0;
}

// What the limits leave of the fullest GPU.
uint64_t left_bytes(const LoadOptions & options) {
    uint64_t left = std::numeric_limits<uint64_t>::max();
    const MemoryUse use = estimate_memory(options);
    const std::vector<Device> gpus = gpus_in_use(options.device);
    for (size_t i = 0; i < gpus.size(); ++i) {
        const uint64_t limit = limit_of(options.vram_limit_bytes, i);
        left = std::min(left, limit - std::min(limit, use.of_device(gpus[i].name).total_bytes()));
    }
    return left;
}

// The cache takes what is free: no more than the limit leaves, and nothing beside whole layers of experts, which a
// search has put there because they fit.
void tell_expert_cache(const LoadOptions & placed, const gguf::ModelInfo & info, bool was_chosen) {
    const std::string setting = expert_cache_setting();
    set_expert_cache(setting);  // what the model before this one needed is over
    if (setting == "off" || !is_moe_backend_loaded() || !placed.placement.offloads()) return;
    if (was_chosen && setting == "auto" && placed.placement != Placement::offload()) return set_expert_cache("off");
    if (placed.vram_limit_bytes.empty()) return;
    const uint64_t spare = SPARE_EXPERTS * largest_expert_bytes(info);
    uint64_t left = left_bytes(placed);
    left -= std::min(left, spare);
    if (left == 0) return set_expert_cache("off");
    set_expert_cache(setting == "auto" ? fmt::format("auto:{}", left)
                                       : fmt::format("{}", std::min(left, parse_bytes(setting, "GGML_MOE_CACHE"))));
}

// Without the margin where nothing fits with it; and where nothing fits at all, the baseline, whose error says so.
PlacementChoice choose(const LoadOptions & options, const gguf::ModelInfo & info) {
    for (const bool with_margin : {true, false}) {
        const std::vector<Device> gpus = usable_gpus(options, with_margin);
        const auto memory = [&](const Placement & placement) {
            return estimate_memory(with_placement(options, placement, gpus));
        };
        const PlacementQuestion question{static_cast<int>(info.n_layers), info.n_expert_tensors > 0, cache_wish(), gpus,
                                         memory};
        if (const auto choice = choose_placement(question)) return *choice;
    }
    return {Placement::baseline(), ""};
}

}  // namespace

void require_fit(const LoadOptions & options, int n_layers, bool has_experts) {
    const MemoryUse use = estimate_memory(options);
    const std::vector<Device> gpus = usable_gpus(options, /*with_margin=*/false);
    if (const auto shortage = vram_shortage(use, gpus)) {
        const auto fits = [&](const Placement & placement) {
            return !vram_shortage(estimate_memory(with_placement(options, placement, gpus)), gpus);
        };
        throw DoesNotFit(fmt::format(
            "{}: needs {} on {}, which has {} {}, {} short; {}", options.shown_name(),
            format_bytes(shortage->needed_bytes), shortage->device, format_bytes(shortage->free_bytes),
            !options.vram_limit_bytes.empty() ? "to be used" : "free", format_bytes(shortage->missing_bytes()),
            advice(options.placement, n_layers, has_experts, fits)));
    }
    if (const auto shortage = ram_shortage(use, available_ram_bytes())) {
        throw DoesNotFit(fmt::format(
            "{}: needs {} of RAM besides the mapped file, and {} is available, {} short; use a smaller --ctx",
            options.shown_name(), format_bytes(shortage->needed_bytes), format_bytes(shortage->free_bytes),
            format_bytes(shortage->missing_bytes())));
    }
}

PlacementChoice require_loadable(const LoadOptions & wanted) {
    LoadOptions options = wanted;
    const gguf::GgufFile & file = options.open_file();
    gguf::require_usable(file);
    const gguf::ModelInfo info = gguf::read_model_info(file);
    const bool has_experts = info.n_expert_tensors > 0;
    if (options.placement.offloads() && !has_experts) {
        fail("{}: the model has no expert tensors (architecture {}), so --cpu-moe has nothing to keep on the CPU",
             options.shown_name(), info.arch);
    }
    (void)context_size(options, static_cast<uint32_t>(info.n_ctx_train));
    const bool chosen = options.placement.is_automatic;
    PlacementChoice choice = chosen ? choose(options, info) : PlacementChoice{options.placement, ""};
    const LoadOptions placed = with_placement(options, choice.placement, usable_gpus(options, /*with_margin=*/true));
    choice.layers_of_gpu = placed.layers_of_gpu;
    if (options.check_fit) require_fit(placed, static_cast<int>(info.n_layers), has_experts);
    tell_expert_cache(placed, info, chosen);
    return choice;
}

PlacementChoice load_placed(const LoadOptions & options, const std::function<void(const PlacementChoice &)> & load) {
    const PlacementChoice first = require_loadable(options);
    std::exception_ptr failure;
    try {
        load(first);
        return first;
    } catch (const UsageError &) {
        throw;
    } catch (const Interrupted &) {
        throw;
    } catch (const Error &) {
        failure = std::current_exception();
    }
    PlacementChoice again = first.reason.empty() ? first : require_loadable(options);
    if (again.placement == first.placement && again.layers_of_gpu == first.layers_of_gpu)
        std::rethrow_exception(failure);
    again.reason += fmt::format("; {} did not load: memory was taken meanwhile", to_text(first.placement));
    load(again);
    return again;
}

LoadOptions placed(LoadOptions options, const PlacementChoice & choice) {
    options.placement = choice.placement;
    options.layers_of_gpu = choice.layers_of_gpu;
    return options;
}

}  // namespace shimmy::engine

#include "cli/print/memory_text.h"

#include "base/text/units.h"
#include "cli/placement_options.h"
#include "engine/experts/expert_cache.h"
#include "engine/experts/expert_disk.h"

#include <fmt/format.h>

#include <cstdio>

namespace shimmy::cli {

void print_placement(const engine::PlacementChoice & choice) {
    const std::string text = engine::to_text(choice);
    if (!text.empty()) fmt::print(stderr, "{}\n", text);
}

std::string vram_text(const engine::Model & model) {
    std::string text;
    for (const engine::BufferMemory & buffer : model.memory().buffers) {
        if (buffer.host) continue;
        text += fmt::format("; {} {} (model {}, KV {}, compute {}", buffer.device, format_bytes(buffer.total_bytes()),
                            format_bytes(buffer.model_bytes), format_bytes(buffer.context_bytes),
                            format_bytes(buffer.compute_bytes));
        if (buffer.expert_cache_bytes > 0)
            text += fmt::format(", expert cache {}", format_bytes(buffer.expert_cache_bytes));
        text += ')';
    }
    return text.empty() ? "; no VRAM used" : text;
}

// Where it could be: beside a GPU, with experts in RAM.
std::string expert_cache_text(const engine::Model & model) {
    const auto cache = engine::expert_cache();
    if (!cache || !model.device().is_gpu() || model.expert_ram_bytes() == 0) return "";
    if (!cache->is_on()) return fmt::format("expert cache {}", cache->state);
    const auto rate = cache->hit_rate();
    return fmt::format("expert cache: {} of {} experts fit ({}), {} of {} look-ups were hits ({}), {} uploads ({})",
                       cache->slots, cache->experts, format_bytes(cache->bytes), cache->hits, cache->lookups,
                       rate ? fmt::format("{:.0f}%", 100.0 * *rate) : "-", cache->uploads,
                       format_bytes(cache->uploaded_bytes));
}

std::string expert_disk_text() {
    const auto disk = engine::expert_disk();
    if (!disk || !disk->is_on()) return "";
    const auto rate = disk->hit_rate();
    return fmt::format("experts on disk: {} of {} stay in RAM, {} of look-ups were hits, {} read",
                       format_bytes(disk->ram_bytes), format_bytes(disk->expert_bytes),
                       rate ? fmt::format("{:.0f}%", 100.0 * *rate) : "-", format_bytes(disk->read_bytes));
}

void print_load_mode() {
    const auto disk = engine::expert_disk();
    if (disk && disk->is_on()) fmt::print(stderr, "{} (--load-mode mmap: all of them mapped)\n", disk->state);
}

void warn_of_no_cache(const Globals & globals, const engine::Model & model) {
    if (!names_cache_size(globals) || moe_cache_option(globals) == "0") return;
    const bool on_cpu = !model.device().is_gpu();
    if (on_cpu || model.expert_ram_bytes() == 0)
        fmt::print(stderr, "warning: --moe-cache {}: there is no cache: {}\n", globals.moe_cache,
                   on_cpu ? "the model runs on the CPU alone" : "no experts are kept on the CPU");
}

}  // namespace shimmy::cli

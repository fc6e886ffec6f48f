#include "engine/experts/expert_disk.h"

#include "engine/device/moe_plugin.h"

#include "ggml-moe.h"

namespace shimmy::engine {

std::optional<double> ExpertDisk::hit_rate() const {
    if (lookups == 0) return std::nullopt;
    return static_cast<double>(hits) / static_cast<double>(lookups);
}

std::optional<ExpertDisk> expert_disk() {
    const auto read = moe_function<ggml_moe_disk_stats_t>("ggml_moe_disk_stats");
    if (read == nullptr) return std::nullopt;
    ggml_moe_disk_stats stats{};
    ExpertDisk disk;
    disk.state = read(&stats);
    disk.ram_bytes = stats.ram_bytes;
    disk.resident_bytes = stats.resident_bytes;
    disk.expert_bytes = stats.expert_bytes;
    disk.lookups = stats.lookups;
    disk.hits = stats.hits;
    disk.read_bytes = stats.read_bytes;
    disk.failures = stats.failures;
    return disk;
}

Json to_json(const std::optional<ExpertDisk> & disk) {
    if (!disk) return nullptr;
    return {{"state", disk->state},
            {"ram_bytes", disk->ram_bytes},
            {"resident_bytes", disk->resident_bytes},
            {"expert_bytes", disk->expert_bytes},
            {"lookups", disk->lookups},
            {"hits", disk->hits},
            {"read_bytes", disk->read_bytes},
            {"failures", disk->failures}};
}

std::optional<ExpertDisk> expert_disk_from(const Json & document) {
    if (document.is_null()) return std::nullopt;
    ExpertDisk disk;
    document.at("state").get_to(disk.state);
    document.at("ram_bytes").get_to(disk.ram_bytes);
    document.at("resident_bytes").get_to(disk.resident_bytes);
    document.at("expert_bytes").get_to(disk.expert_bytes);
    document.at("lookups").get_to(disk.lookups);
    document.at("hits").get_to(disk.hits);
    document.at("read_bytes").get_to(disk.read_bytes);
    document.at("failures").get_to(disk.failures);
    return disk;
}

}  // namespace shimmy::engine

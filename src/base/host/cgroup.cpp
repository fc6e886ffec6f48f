#include "base/host/cgroup.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>

namespace shimmy {

namespace {

// The number that a control file holds; nothing for "max", -1 (no limit) and files that are not there.
std::optional<uint64_t> number_in(const fs::path & file) {
    std::ifstream stream(file);
    int64_t number = 0;
    if (!(stream >> number) || number < 0) return std::nullopt;
    return static_cast<uint64_t>(number);
}

// Bytes of page cache: `key value` lines of memory.stat.
uint64_t page_cache_bytes(const fs::path & memory_stat, const std::string & key_prefix) {
    std::ifstream stream(memory_stat);
    std::string key;
    uint64_t value = 0;
    uint64_t bytes = 0;
    while (stream >> key >> value) {
        if (key == key_prefix + "inactive_file" || key == key_prefix + "active_file") bytes += value;
    }
    return bytes;
}

void limit_memory(CgroupLimits & limits, std::optional<uint64_t> limit, uint64_t used, uint64_t page_cache) {
    if (!limit) return;
    const uint64_t held = used - std::min(used, page_cache);
    limits.memory_bytes = std::min(limits.memory_bytes, *limit);
    limits.available_bytes = std::min(limits.available_bytes, *limit - std::min(*limit, held));
}

void limit_cpus(CgroupLimits & limits, std::optional<uint64_t> quota, std::optional<uint64_t> period) {
    if (quota && period && *period > 0)
        limits.cpus = std::min(limits.cpus, static_cast<double>(*quota) / static_cast<double>(*period));
}

void read_v2(CgroupLimits & limits, const fs::path & dir) {
    limit_memory(limits, number_in(dir / "memory.max"), number_in(dir / "memory.current").value_or(0),
                 page_cache_bytes(dir / "memory.stat", ""));
    std::ifstream cpu_max(dir / "cpu.max");  // "250000 100000" or "max 100000", microseconds
    std::string quota;
    uint64_t period = 0;
    if (cpu_max >> quota >> period && quota != "max")
        limit_cpus(limits, std::strtoull(quota.c_str(), nullptr, 10), period);
}

void read_v1_memory(CgroupLimits & limits, const fs::path & dir) {
    limit_memory(limits, number_in(dir / "memory.limit_in_bytes"), number_in(dir / "memory.usage_in_bytes").value_or(0),
                 page_cache_bytes(dir / "memory.stat", "total_"));
}

void read_v1_cpu(CgroupLimits & limits, const fs::path & dir) {
    limit_cpus(limits, number_in(dir / "cpu.cfs_quota_us"), number_in(dir / "cpu.cfs_period_us"));
}

// The group's folder and those above it. In a container the path may be the host's, and what is mounted be the
// container's own: folders that are not there are passed over.
template <typename Read>
void for_each_level(const fs::path & mount, const std::string & group, Read read) {
    fs::path path = fs::path(group).relative_path();
    while (true) {
        if (fs::exists(mount / path)) read(mount / path);
        if (path.empty()) return;
        path = path.parent_path();
    }
}

}  // namespace

CgroupLimits cgroup_limits(const fs::path & proc_self_cgroup, const fs::path & cgroup_dir) {
    CgroupLimits limits;
    std::ifstream stream(proc_self_cgroup);
    for (std::string line; std::getline(stream, line);) {  // "4:memory:/path", "3:cpu,cpuacct:/path", "0::/path"
        const size_t first = line.find(':');
        const size_t second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos) continue;
        const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
        const std::string group = line.substr(second + 1);
        if (controllers == ",,") for_each_level(cgroup_dir, group, [&](const fs::path & dir) { read_v2(limits, dir); });
        if (controllers.find(",memory,") != std::string::npos)
            for_each_level(cgroup_dir / "memory", group, [&](const fs::path & dir) { read_v1_memory(limits, dir); });
        if (controllers.find(",cpu,") != std::string::npos)
            for_each_level(cgroup_dir / "cpu", group, [&](const fs::path & dir) { read_v1_cpu(limits, dir); });
    }
    return limits;
}

}  // namespace shimmy

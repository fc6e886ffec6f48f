#include "ram.h"

#include <algorithm>
#include <fstream>
#include <limits>

namespace moe {

namespace {

constexpr uint64_t NO_LIMIT = std::numeric_limits<uint64_t>::max();

// The number in a file; NO_LIMIT for "max", -1 and files that are not there.
uint64_t number_in(const std::string & file) {
    std::ifstream stream(file);
    int64_t number = -1;
    return stream >> number && number >= 0 ? static_cast<uint64_t>(number) : NO_LIMIT;
}

uint64_t page_cache_in(const std::string & file, const std::string & prefix) {
    std::ifstream stream(file);
    std::string key;
    uint64_t value = 0, bytes = 0;
    while (stream >> key >> value) {
        if (key == prefix + "inactive_file" || key == prefix + "active_file") bytes += value;
    }
    return bytes;
}

void limit(Ram & ram, const std::string & group, bool v2) {
    const uint64_t most = number_in(group + (v2 ? "/memory.max" : "/memory.limit_in_bytes"));
    if (most == NO_LIMIT || most >= ram.total) return;
    const uint64_t usage = number_in(group + (v2 ? "/memory.current" : "/memory.usage_in_bytes"));
    const uint64_t used = usage == NO_LIMIT ? 0 : usage;
    const uint64_t cache = std::min(used, page_cache_in(group + "/memory.stat", v2 ? "" : "total_"));
    ram.total = most;
    ram.available = std::min(ram.available, most - std::min(most, used - cache));
}

// The group and those above it; in a container, folders that are not there are passed over.
void limit_by_all(Ram & ram, const std::string & mount, std::string group, bool v2) {
    while (true) {
        limit(ram, mount + group, v2);
        const size_t slash = group.rfind('/');
        if (slash == std::string::npos) return;
        group.resize(slash);
    }
}

}  // namespace

RamSource & ram_source() {
    static RamSource & source = *new RamSource;  // never destroyed: contexts may compute while the process ends
    return source;
}

Ram read_ram() {
    const std::string & root = ram_source().root;
    Ram ram;
    std::ifstream meminfo(root + "/proc/meminfo");
    std::string key, unit;
    for (uint64_t kib = 0; meminfo >> key >> kib;) {
        if (key == "MemTotal:") ram.total = kib * 1024;
        if (key == "MemAvailable:") ram.available = kib * 1024;
        std::getline(meminfo, unit);
    }
    std::ifstream groups(root + "/proc/self/cgroup");
    for (std::string line; std::getline(groups, line);) {  // "4:memory:/path", "0::/path"
        const size_t first = line.find(':'), second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos) continue;
        const std::string controllers = line.substr(first + 1, second - first - 1);
        const std::string group = line.substr(second + 1);
        if (controllers.empty()) limit_by_all(ram, root + "/sys/fs/cgroup", group, true);
        if (controllers == "memory") limit_by_all(ram, root + "/sys/fs/cgroup/memory", group, false);
    }
    return ram;
}

}  // namespace moe

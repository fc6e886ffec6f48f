#include "base/host/host.h"

#include "base/host/cgroup.h"
#include "base/text/text.h"

#include <fmt/format.h>

#include <sched.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <algorithm>
#include <array>
#include <fstream>
#include <set>
#include <utility>

namespace shimmy {

namespace {

// The value after "key" and a colon in a /proc file of "key : value" lines; empty if absent.
std::string proc_value(const char * file, const std::string & key) {
    std::ifstream stream(file);
    for (std::string line; std::getline(stream, line);) {
        if (line.compare(0, key.size(), key) != 0) continue;
        const size_t colon = line.find(':');
        if (colon == std::string::npos) continue;
        const size_t start = line.find_first_not_of(" \t", colon + 1);
        return start == std::string::npos ? "" : line.substr(start);
    }
    return "";
}

uint64_t meminfo_bytes(const std::string & key) {
    const std::string value = proc_value("/proc/meminfo", key);  // "24576000 kB"
    return value.empty() ? 0 : std::strtoull(value.c_str(), nullptr, 10) * 1024;
}

cpu_set_t usable_cpus() {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    sched_getaffinity(0, sizeof(cpus), &cpus);
    return cpus;
}

std::string first_line(const std::string & path) {
    std::ifstream stream(path);
    std::string line;
    std::getline(stream, line);
    return line;
}

}  // namespace

Host host() {
    Host result;
    std::array<char, 256> name{};
    if (gethostname(name.data(), name.size() - 1) == 0) result.name = name.data();
    utsname os{};
    if (uname(&os) == 0) result.os = fmt::format("{} {} {}", os.sysname, os.release, os.machine);
    result.cpu = proc_value("/proc/cpuinfo", "model name");
    const cpu_set_t cpus = usable_cpus();
    result.n_cores = std::max(1, CPU_COUNT(&cpus));
    result.ram_bytes = std::min(meminfo_bytes("MemTotal"), cgroup_limits().memory_bytes);
    return result;
}

std::vector<std::string> cpu_features() {
    constexpr std::array PREFIXES{"avx", "amx", "fma", "f16c", "bmi2", "gfni", "sve", "asimd", "i8mm", "bf16"};
    std::string flags = proc_value("/proc/cpuinfo", "flags");
    if (flags.empty()) flags = proc_value("/proc/cpuinfo", "Features");  // on Arm
    std::vector<std::string> result;
    for (const std::string & flag : split(flags, ' ')) {
        const bool matters = std::any_of(PREFIXES.begin(), PREFIXES.end(),
                                         [&](const char * prefix) { return flag.starts_with(prefix); });
        if (matters) result.push_back(flag);
    }
    return result;
}

std::string distribution() {
    std::ifstream stream("/etc/os-release");
    const std::string key = "PRETTY_NAME=";
    for (std::string line; std::getline(stream, line);) {
        if (!line.starts_with(key)) continue;
        std::string name = line.substr(key.size());
        std::erase(name, '"');
        return name;
    }
    return "";
}

int default_threads() {
    const cpu_set_t cpus = usable_cpus();
    std::set<std::string> physical;  // one "siblings" list per physical core
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (!CPU_ISSET(cpu, &cpus)) continue;
        const std::string siblings =
            first_line(fmt::format("/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list", cpu));
        physical.insert(siblings.empty() ? std::to_string(cpu) : siblings);
    }
    // More threads than a quota lets run at once are stopped for most of every period, and the others wait for them.
    const double n_threads = std::min(static_cast<double>(physical.size()), cgroup_limits().cpus);
    return std::max(1, static_cast<int>(n_threads));
}

uint64_t available_ram_bytes() {
    return std::min(meminfo_bytes("MemAvailable"), cgroup_limits().available_bytes);
}

uint64_t peak_rss_bytes() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace shimmy

#include "base/host/hardware.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>
#include <set>

namespace shimmy {

namespace {

// The first line of a file of the kernel; empty if there is none.
std::string sys_line(const fs::path & file) {
    std::ifstream stream(file);
    std::string line;
    std::getline(stream, line);
    return line;
}

// "0-3,8" as the numbers.
std::set<int> cpu_list(const std::string & text) {
    std::set<int> cpus;
    const char * at = text.data();
    const char * end = at + text.size();
    while (at < end) {
        int first = 0;
        auto parsed = std::from_chars(at, end, first);
        if (parsed.ec != std::errc()) break;
        int last = first;
        if (parsed.ptr < end && *parsed.ptr == '-') parsed = std::from_chars(parsed.ptr + 1, end, last);
        for (int cpu = first; cpu <= last; ++cpu)
            cpus.insert(cpu);
        at = parsed.ptr + 1;
    }
    return cpus;
}

}  // namespace

int performance_cores(const fs::path & sys_devices) {
    const std::set<int> intel = cpu_list(sys_line(sys_devices / "cpu_core/cpus"));
    std::map<long, std::set<std::string>> cores;  // by speed: one list of siblings per physical core
    for (int cpu = 0;; ++cpu) {
        const fs::path dir = sys_devices / fmt::format("system/cpu/cpu{}", cpu);
        if (!fs::exists(dir)) break;
        const std::string capacity = sys_line(dir / "cpu_capacity");
        const long speed = !intel.empty() ? static_cast<long>(intel.contains(cpu)) : std::atol(capacity.c_str());
        const std::string siblings = sys_line(dir / "topology/thread_siblings_list");
        cores[speed].insert(siblings.empty() ? std::to_string(cpu) : siblings);
    }
    return cores.size() < 2 ? 0 : static_cast<int>(cores.rbegin()->second.size());
}

std::vector<std::string> display_adapters(const fs::path & pci_devices) {
    std::vector<std::string> ids;
    std::error_code ignored;
    for (const auto & entry : fs::directory_iterator(pci_devices, ignored)) {
        const std::string device_class = sys_line(entry.path() / "class");
        // Display controllers and processing accelerators (PCI Code and ID Assignment Specification).
        if (!device_class.starts_with("0x03") && !device_class.starts_with("0x12")) continue;
        const std::string vendor = sys_line(entry.path() / "vendor");
        const std::string device = sys_line(entry.path() / "device");
        if (vendor.starts_with("0x") && device.starts_with("0x"))
            ids.push_back(vendor.substr(2) + ":" + device.substr(2));
    }
    std::sort(ids.begin(), ids.end());
    return ids;
}

}  // namespace shimmy

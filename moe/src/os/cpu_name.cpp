#include "cpu_name.h"

#if defined(__x86_64__)
#include <cpuid.h>

#include <cstring>
#else
#include <fstream>
#endif

namespace moe::os {

namespace {

#if defined(__x86_64__)
// 48 bytes, in three leaves of 16.
std::string brand() {
    constexpr unsigned FIRST = 0x80000002u, LAST = 0x80000004u;
    char text[(LAST - FIRST + 1) * 16 + 1] = {};
    for (unsigned leaf = FIRST; leaf <= LAST; ++leaf) {
        unsigned r[4] = {};
        if (__get_cpuid(leaf, &r[0], &r[1], &r[2], &r[3]) == 0) return "";
        std::memcpy(text + size_t(leaf - FIRST) * sizeof r, r, sizeof r);
    }
    return text;
}
#else
// Arm's processors have numbers, which Linux tells of each core: those of the first.
std::string brand() {
    std::ifstream in("/proc/cpuinfo");
    std::string all;
    for (std::string line; std::getline(in, line) && !line.empty();) {
        const size_t colon = line.find(':');
        if (colon == std::string::npos) continue;
        const bool is_model = line.rfind("CPU implementer", 0) == 0 || line.rfind("CPU part", 0) == 0 ||
                              line.rfind("CPU variant", 0) == 0 || line.rfind("model name", 0) == 0;
        if (is_model) all += line.substr(colon + 1);
    }
    return all;
}
#endif

}  // namespace

std::string cpu_name() {
    // Asked once: in a virtual machine each question is answered by the host.
    static const std::string name = [] {
        constexpr const char * BLANKS = " \t\n";
        const std::string all = brand();
        const size_t first = all.find_first_not_of(BLANKS);
        return first == std::string::npos ? "unknown" : all.substr(first, all.find_last_not_of(BLANKS) + 1 - first);
    }();
    return name;
}

}  // namespace moe::os

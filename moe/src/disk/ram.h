// How much memory this process may still take.
#pragma once

#include <cstdint>
#include <string>

namespace moe {

struct Ram {
    uint64_t total = 0;      // of the machine, or as much of it as a control group allows
    uint64_t available = 0;  // without swapping; page cache counts as available
};

// Where that is read, and how often while a model is computed. Tests change both.
struct RamSource {
    std::string root;  // in front of /proc and /sys
    double interval_s = 1;
};
RamSource & ram_source();

// From /proc/meminfo and the control groups (versions 1 and 2) of this process. Zeros where nothing can be read.
Ram read_ram();

}  // namespace moe

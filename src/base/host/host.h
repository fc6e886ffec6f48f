// What machine this is, and what this process uses of it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace shimmy {

struct Host {
    std::string name;        // host name
    std::string cpu;         // "AMD EPYC 9B14"
    std::string os;          // "Linux 6.1.0 x86_64"
    int n_cores = 0;         // usable by this process
    uint64_t ram_bytes = 0;  // of the machine, or as much of it as a container may use
};

Host host();

// Instructions of the processor that matter to matrix kernels, as Linux names them: "avx2", "avx512_vnni", "i8mm".
std::vector<std::string> cpu_features();

// "Debian GNU/Linux 12 (bookworm)"; empty if the system does not say.
std::string distribution();

// Physical cores this process may use, within a container's quota: more threads than that slow token generation down.
int default_threads();

// RAM that can be had without swapping and within a container's limit, page cache counted in (MemAvailable).
uint64_t available_ram_bytes();

// The most RAM this process has held at once (ru_maxrss). Mapped model pages count.
uint64_t peak_rss_bytes();

}  // namespace shimmy

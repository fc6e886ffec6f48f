#include "base/process/process_memory.h"

#include <unistd.h>

#include <cstdio>

namespace shimmy {

uint64_t rss_bytes() {
    unsigned long total = 0;
    unsigned long resident = 0;
    FILE * file = std::fopen("/proc/self/statm", "re");
    if (file == nullptr) return 0;
    const int n = std::fscanf(file, "%lu %lu", &total, &resident);
    std::fclose(file);
    return n == 2 ? uint64_t{resident} * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

}  // namespace shimmy

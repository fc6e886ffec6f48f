#include "base/host/bandwidth.h"

#include "base/text/units.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <numeric>
#include <thread>
#include <vector>

namespace shimmy {

namespace {

constexpr uint64_t BUFFER_BYTES = 512 * MIB;  // above the last-level cache of any server
constexpr int N_PASSES = 5;

uint64_t sum_of(const uint64_t * begin, const uint64_t * end) {
    return std::accumulate(begin, end, uint64_t{0});
}

}  // namespace

double measure_ram_bandwidth(int n_threads) {
    const std::vector<uint64_t> buffer(BUFFER_BYTES / sizeof(uint64_t), 1);
    std::vector<uint64_t> sums(static_cast<size_t>(std::max(1, n_threads)));
    const size_t share = buffer.size() / sums.size();
    double best_s = std::numeric_limits<double>::infinity();
    for (int pass = 0; pass < N_PASSES; ++pass) {
        const auto start = std::chrono::steady_clock::now();
        std::vector<std::thread> team;
        for (size_t i = 0; i < sums.size(); ++i) {
            const uint64_t * begin = buffer.data() + i * share;
            team.emplace_back([&sums, i, begin, share] { sums[i] = sum_of(begin, begin + share); });
        }
        for (std::thread & thread : team)
            thread.join();
        const double elapsed_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        best_s = std::min(best_s, elapsed_s);
    }
    // The sums are used, so that reading is not optimized away.
    const uint64_t n_read = std::accumulate(sums.begin(), sums.end(), uint64_t{0}) * sizeof(uint64_t);
    return static_cast<double>(n_read) / best_s;
}

}  // namespace shimmy

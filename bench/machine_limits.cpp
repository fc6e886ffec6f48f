// Measures what this machine can do at most: reading memory, and int8 multiply-accumulates.
//
//   machine-limits [threads]      prints one JSON object:
//     read_gbps         bytes read per second from a buffer far larger than the caches, all threads together, in 10^9
//     int8_gmacs        int8 multiply-accumulates per second with the widest dot-product instruction but AMX, 10^9
//     int8_instruction  which one that was
// Both are the best of several passes: a limit is what the machine reaches undisturbed.
//
//   machine-limits --disk FILE    how fast FILE is read where it is not in memory (disk_limits.h); two and a half
//   minutes
#include "disk_limits.h"

#include <cpuid.h>
#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

// Runs fn(thread index) on n threads at once; returns the seconds until the last one has finished.
template <class Fn>
double timed_threads(int n, Fn fn) {
    const auto start = Clock::now();
    std::vector<std::thread> threads;
    for (int i = 1; i < n; ++i)
        threads.emplace_back(fn, i);
    fn(0);
    for (std::thread & thread : threads)
        thread.join();
    return seconds_since(start);
}

// Keeps the compiler from dropping the work.
volatile uint64_t sink;

// `ahead`: bytes to prefetch in front of the loads; 0: leave it to the hardware.
template <size_t ahead>
__attribute__((target("avx2"))) uint64_t read_all(const uint8_t * data, size_t bytes) {
    __m256i a = _mm256_setzero_si256(), b = a;
    for (size_t i = 0; i + 64 <= bytes; i += 64) {
        if (ahead != 0) _mm_prefetch(reinterpret_cast<const char *>(data + i + ahead), _MM_HINT_T1);
        a = _mm256_xor_si256(a, _mm256_load_si256(reinterpret_cast<const __m256i *>(data + i)));
        b = _mm256_xor_si256(b, _mm256_load_si256(reinterpret_cast<const __m256i *>(data + i + 32)));
    }
    return static_cast<uint64_t>(_mm256_extract_epi64(_mm256_xor_si256(a, b), 0));
}

double read_gbps(int n_threads) {
    constexpr size_t per_thread = size_t{256} << 20;
    constexpr int passes = 6;
    const size_t bytes = per_thread * static_cast<size_t>(n_threads);
    auto * data = static_cast<uint8_t *>(std::aligned_alloc(4096, bytes));
    if (data == nullptr) {
        std::fprintf(stderr, "machine-limits: cannot allocate %zu bytes\n", bytes);
        std::exit(1);
    }
    timed_threads(n_threads, [&](int i) { std::fill_n(data + size_t(i) * per_thread, per_thread, uint8_t(i + 1)); });
    double best = 0;
    for (int pass = 0; pass < passes; ++pass) {
        for (const auto read : {read_all<0>, read_all<4096>, read_all<16384>}) {
            const double s =
                timed_threads(n_threads, [&](int i) { sink = read(data + size_t(i) * per_thread, per_thread); });
            best = std::max(best, double(bytes) / s / 1e9);
        }
    }
    std::free(data);
    return best;
}

constexpr int64_t STEPS = 20'000'000;  // of 12 independent dot products each, which hides their latency

// clang-format off
#define TWELVE(op) op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11)
#define DOT_AVX512(n) "vpdpbusd %%zmm13, %%zmm12, %%zmm" #n "\n"
#define DOT_AVXVNNI(n) "%{vex%} vpdpbusd %%ymm13, %%ymm12, %%ymm" #n "\n"
// Without VNNI a dot product of bytes is two multiply-adds of pairs and an addition.
#define DOT_AVX2(n)                          \
    "vpmaddubsw %%ymm13, %%ymm12, %%ymm15\n" \
    "vpmaddwd %%ymm14, %%ymm15, %%ymm15\n"   \
    "vpaddd %%ymm15, %%ymm" #n ", %%ymm" #n "\n"
#define DOTS(op)                                                                                                       \
    for (int64_t i = 0; i < STEPS; ++i) {                                                                              \
        __asm__ volatile(TWELVE(op) ::: "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", \
                         "xmm10", "xmm11", "xmm15");                                                                   \
    }

__attribute__((target("avx512f,avx512vnni"))) void dots_avx512() { DOTS(DOT_AVX512) }
__attribute__((target("avxvnni"))) void dots_avxvnni() { DOTS(DOT_AVXVNNI) }
__attribute__((target("avx2"))) void dots_avx2() { DOTS(DOT_AVX2) }
// clang-format on

// Twelve dot products per step, of as many bytes as a vector holds.
struct Int8Dots {
    const char * name;
    int bytes;
    void (*run)();
};

constexpr Int8Dots AVX2 = {"AVX2", 32, dots_avx2};

bool has_avxvnni() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & (1u << 4)) != 0;
}

Int8Dots best_dots() {
    if (__builtin_cpu_supports("avx512vnni")) return {"AVX-512 VNNI", 64, dots_avx512};
    if (has_avxvnni()) return {"AVX-VNNI", 32, dots_avxvnni};
    return AVX2;
}

double int8_gmacs(int n_threads, const Int8Dots & dots) {
    double best = 0;
    for (int pass = 0; pass < 4; ++pass) {
        const double s = timed_threads(n_threads, [&](int) { dots.run(); });
        best = std::max(best, double(STEPS) * 12 * dots.bytes * n_threads / s / 1e9);
    }
    return best;
}

}  // namespace

int main(int argc, char ** argv) {
    if (argc == 3 && std::string(argv[1]) == "--disk") return disk_limits(argv[2]);
    const int n_threads = argc > 1 ? std::atoi(argv[1]) : static_cast<int>(std::thread::hardware_concurrency());
    if (n_threads < 1) {
        std::fprintf(stderr, "usage: machine-limits [threads] | --disk FILE\n");
        return 2;
    }
    if (!__builtin_cpu_supports("avx2")) {
        std::fprintf(stderr, "machine-limits: needs a processor with AVX2\n");
        return 1;
    }
    const Int8Dots dots = best_dots();
    std::printf(
        "{\"threads\": %d, \"read_gbps\": %.1f, \"int8_gmacs\": %.0f, \"int8_instruction\": \"%s\", "
        "\"avx2_gmacs\": %.0f}\n",
        n_threads, read_gbps(n_threads), int8_gmacs(n_threads, dots), dots.name, int8_gmacs(n_threads, AVX2));
}

// Times the tile kernels of libggml-moe alone, without ggml and without a model.
//
//   moe-kernels [TYPE…|attention] [--threads N] [--isa NAME] [--columns N]
//
// For every weight type: GB/s of weights with one activation row, streamed from memory (decode; to be compared with
// `machine-limits`), and GMAC/s from cache with 1, 2, 4, 8, 16 and 48 rows. The best of several passes. Weights are
// random bytes: what they mean does not change the time. Rows have 2048 columns unless --columns says otherwise.
// `attention`: GMAC/s over an F16 cache of heads of 128 columns.
#include "kernels/kernels.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace {

struct Type {
    const char * name;
    moe::WType type;
    int cols, bytes;  // of one block
};

constexpr Type TYPES[] = {
    {"F32", moe::WType::F32, 1, 4},
    {"F16", moe::WType::F16, 1, 2},
    {"BF16", moe::WType::BF16, 1, 2},
    {"Q8_0", moe::WType::Q8_0, 32, 34},
    {"Q4_0", moe::WType::Q4_0, 32, 18},
    {"Q4_1", moe::WType::Q4_1, 32, 20},
    {"Q5_0", moe::WType::Q5_0, 32, 22},
    {"Q5_1", moe::WType::Q5_1, 32, 24},
    {"Q2_K", moe::WType::Q2_K, 256, 84},
    {"Q3_K", moe::WType::Q3_K, 256, 110},
    {"Q4_K", moe::WType::Q4_K, 256, 144},
    {"Q5_K", moe::WType::Q5_K, 256, 176},
    {"Q6_K", moe::WType::Q6_K, 256, 210},
    {"IQ4_NL", moe::WType::IQ4_NL, 32, 18},
    {"IQ4_XS", moe::WType::IQ4_XS, 256, 136},
    {"MXFP4", moe::WType::MXFP4, 32, 17},
    {"NVFP4", moe::WType::NVFP4, 64, 36},
    {"IQ1_S", moe::WType::IQ1_S, 256, 50},
    {"IQ1_M", moe::WType::IQ1_M, 256, 56},
    {"IQ2_XXS", moe::WType::IQ2_XXS, 256, 66},
    {"IQ2_XS", moe::WType::IQ2_XS, 256, 74},
    {"IQ2_S", moe::WType::IQ2_S, 256, 82},
    {"IQ3_XXS", moe::WType::IQ3_XXS, 256, 98},
    {"IQ3_S", moe::WType::IQ3_S, 256, 110},
    {"TQ1_0", moe::WType::TQ1_0, 256, 54},
    {"TQ2_0", moe::WType::TQ2_0, 256, 66},
    {"Q1_0", moe::WType::Q1_0, 128, 18},
    {"Q2_0", moe::WType::Q2_0, 64, 18},
};

int K = 2048;                                       // columns, a multiple of every type's block
constexpr size_t STREAM_BYTES = size_t{192} << 20;  // of weights per thread: beyond any cache

using Clock = std::chrono::steady_clock;

// Weights of one thread: whole tiles, back to back.
struct Weights {
    const moe::TypeKernel & kernel;
    size_t stride;  // bytes from row to row
    int tile_rows;
    std::vector<uint8_t> data;

    Weights(const moe::KernelTable & table, const Type & type, size_t bytes)
        : kernel(table.types[static_cast<int>(type.type)]),
          stride(size_t(K) / size_t(type.cols) * size_t(type.bytes)),
          tile_rows(table.tile_rows),
          data(bytes / tile_bytes() * tile_bytes() + 64) {
        uint32_t x = 1;
        for (uint8_t & byte : data) {
            x = x * 1664525u + 1013904223u;
            byte = (static_cast<uint8_t>(x >> 24) & 0x1f) | 0x20;  // in no type a subnormal number, which would be slow
        }
    }
    size_t tile_bytes() const { return stride * size_t(tile_rows); }
    size_t tiles() const { return data.size() / tile_bytes(); }
};

// `n` rows of activations in the type's own format.
struct Activations {
    moe::ActLayout layout;
    std::vector<uint8_t> rows;
    std::vector<const uint8_t *> pointers;
    std::vector<float> out;

    Activations(const moe::TypeKernel & kernel, int n)
        : layout(moe::act_layout(kernel.act, K)),
          rows(size_t(layout.bytes) * size_t(n) + 64),
          out(size_t(n) * moe::MAX_TILE_ROWS) {
        std::vector<float> x(static_cast<size_t>(K));
        uint8_t * base = rows.data() + (64 - reinterpret_cast<uintptr_t>(rows.data()) % 64) % 64;
        for (int i = 0; i < n; ++i) {
            for (int k = 0; k < K; ++k)
                x[size_t(k)] = float((k * 37 + i * 11) % 255 - 127) / 127.0f;
            uint8_t * row = base + size_t(i) * size_t(layout.bytes);
            kernel.quantize(kernel.act, layout, x.data(), row);
            pointers.push_back(row);
        }
    }
};

// Seconds to multiply every tile with every activation row.
double pass(const Weights & w, Activations & x) {
    const auto start = Clock::now();
    for (size_t i = 0; i < w.tiles(); ++i) {
        moe::TileArgs a;
        a.w = w.data.data() + i * w.tile_bytes();
        a.stride = w.stride;
        a.rows = w.tile_rows;
        a.n = static_cast<int>(x.pointers.size());
        a.x = x.pointers.data();
        a.layout = x.layout;
        a.acc = x.out.data();
        a.next = i + 1 < w.tiles() ? a.w + w.tile_bytes() : nullptr;
        w.kernel.tile(a);
    }
    return std::chrono::duration<double>(Clock::now() - start).count();
}

double stream_gbps(const moe::KernelTable & table, const Type & type, int n_threads) {
    std::vector<Weights> weights;
    std::vector<Activations> x;
    for (int i = 0; i < n_threads; ++i) {
        weights.emplace_back(table, type, STREAM_BYTES);
        x.emplace_back(weights[0].kernel, 1);
    }
    double best = 1e9;
    for (int repeat = 0; repeat < 5; ++repeat) {
        const auto start = Clock::now();
        std::vector<std::thread> threads;
        for (int i = 1; i < n_threads; ++i)
            threads.emplace_back([&, i] { pass(weights[size_t(i)], x[size_t(i)]); });
        pass(weights[0], x[0]);
        for (std::thread & thread : threads)
            thread.join();
        best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
    }
    return double(weights[0].data.size()) * n_threads / best / 1e9;
}

// One thread, weights that stay in L2, or a single tile where it is larger.
double cached_gmacs(const moe::KernelTable & table, const Type & type, int n) {
    const size_t row = size_t(K) / size_t(type.cols) * size_t(type.bytes);
    const Weights w(table, type, std::max(size_t{256} << 10, row * size_t(table.tile_rows)));
    Activations x(w.kernel, n);
    const double macs = double(w.tiles()) * w.tile_rows * K * n;
    const int repeats = std::max(1, static_cast<int>(1e8 / macs));
    double best = 1e9;
    for (int repeat = 0; repeat < 5; ++repeat) {
        double s = 0;
        for (int i = 0; i < repeats; ++i)
            s += pass(w, x);
        best = std::min(best, s / repeats);
    }
    return macs / best / 1e9;
}

constexpr int HEAD = 128;  // columns

// One thread: so many query rows for each KV head, as many heads at a time as a pass holds.
double attention_gmacs(const moe::KernelTable & table, int kv_heads, int rows, int n_keys) {
    const int heads = std::clamp(moe::ATTENTION_ROWS / rows, 1, kv_heads), passes = kv_heads / heads;
    std::vector<uint16_t> k(size_t(n_keys) * size_t(kv_heads) * HEAD), v(k.size());
    for (size_t i = 0; i < k.size(); ++i) {
        k[i] = static_cast<uint16_t>(0x3000 + i * 37 % 0x800);  // 0.125 to 0.5
        v[i] = static_cast<uint16_t>(0x3000 + i * 11 % 0x800);
    }
    const size_t pass_rows = size_t(heads) * size_t(rows);
    const std::vector<uint16_t> mask(size_t(n_keys), 0);
    const std::vector<float> q(HEAD, 0.1f);
    const std::vector<moe::AttentionArgs::Query> queries(pass_rows, {q.data(), mask.data(), 1.0f});
    std::vector<float> sums(pass_rows * moe::attention_columns(HEAD)), scratch(table.attention_scratch(HEAD, HEAD));
    std::vector<moe::Seen> seen(pass_rows);
    moe::AttentionArgs a;
    a.end = n_keys;
    a.queries = queries.data();
    a.heads = heads;
    a.rows = rows;
    a.scale = 0.1f;
    a.scratch = scratch.data();
    a.seen = seen.data();
    a.sums = sums.data();
    const double macs = 2.0 * heads * passes * rows * HEAD * n_keys;
    const int repeats = std::max(1, static_cast<int>(3e8 / macs));
    double best = 1e9;
    for (int repeat = 0; repeat < 5; ++repeat) {
        const auto start = Clock::now();
        for (int i = 0; i < repeats * passes; ++i) {
            const size_t first = size_t(i % passes) * size_t(heads) * HEAD;
            const auto cache = [&](const std::vector<uint16_t> & x) {
                return moe::KvRows{reinterpret_cast<const uint8_t *>(x.data() + first),
                                   size_t(kv_heads) * HEAD * 2,
                                   HEAD * 2,
                                   HEAD * 2,
                                   HEAD,
                                   nullptr};
            };
            a.k = cache(k);
            a.v = cache(v);
            table.attention(a);
        }
        best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count() / repeats);
    }
    return macs / best / 1e9;
}

void print_attention(const moe::KernelTable & table) {
    struct Shape {
        int kv_heads, rows;
    };
    std::printf(
        "%s, one thread: attention, GMAC/s by KV heads, query rows of each and cached positions\n    heads x rows |",
        table.name);
    for (const int n_keys : {512, 2048, 8192})
        std::printf(" %7d", n_keys);
    std::printf("\n");
    for (const Shape s : {Shape{16, 1}, {8, 4}, {4, 8}, {4, 16}, {4, 24}, {4, 32}, {4, moe::ATTENTION_ROWS}}) {
        std::printf("%9d x %4d |", s.kv_heads, s.rows);
        for (const int n_keys : {512, 2048, 8192})
            std::printf(" %7.1f", attention_gmacs(table, s.kv_heads, s.rows, n_keys));
        std::printf("\n");
    }
}

}  // namespace

int main(int argc, char ** argv) {
    int n_threads = static_cast<int>(std::thread::hardware_concurrency());
    const moe::KernelTable * table = &moe::kernels();
    std::vector<std::string> wanted;
    for (int i = 1; i < argc; ++i) {
        const std::string arg = argv[i];
        if (arg == "--threads" && i + 1 < argc) {
            n_threads = std::max(1, std::atoi(argv[++i]));
        } else if (arg == "--isa" && i + 1 < argc) {
            table = moe::kernels_by_name(argv[++i]);
        } else if (arg == "--columns" && i + 1 < argc) {
            K = std::max(1, std::atoi(argv[++i]) / 256) * 256;
        } else if (arg.rfind("--", 0) == 0) {
            std::fprintf(stderr, "usage: moe-kernels [TYPE…|attention] [--threads N] [--isa NAME] [--columns N]\n");
            return 2;
        } else {
            wanted.push_back(arg);
        }
    }
    if (table == nullptr) {
        std::fprintf(stderr, "moe-kernels: this machine has no such instruction set\n");
        return 2;
    }
    const auto attention = std::find(wanted.begin(), wanted.end(), "attention");
    if (wanted.empty() || attention != wanted.end()) print_attention(*table);
    if (attention != wanted.end() && wanted.size() == 1) return 0;
    std::printf("%s, %d thread(s) from memory, one from cache\n%-7s %9s |", table->name, n_threads, "type", "GB/s n=1");
    for (const int n : {1, 2, 4, 8, 16, 48})
        std::printf(" %7d", n);
    std::printf("  GMAC/s by rows\n");
    for (const Type & type : TYPES) {
        if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), type.name) == wanted.end()) continue;
        std::printf("%-7s %9.1f |", type.name, stream_gbps(*table, type, n_threads));
        for (const int n : {1, 2, 4, 8, 16, 48})
            std::printf(" %7.1f", cached_gmacs(*table, type, n));
        std::printf("\n");
        std::fflush(stdout);
    }
    return 0;
}

// The tile product for F32, F16 and BF16 weights. Compiled once per instruction set; include after gemm-inl.h.
//
// Weights stay as they lie, vectors run along the columns: a vector of weights is converted in a register to what the
// activations are, if it is not that already, and multiplied with several activation rows. Turning the rows into columns
// first, as the quantized types must, costs as much as a dozen products.
#pragma once

#include "kernels.h"

namespace moe {
namespace MOE_ISA {

// How weights and activations become vectors, and what multiplies them: activations in single precision.
struct WFloat {
    static constexpr int COLS = L, ACT_BYTES = 4;  // columns of a vector, bytes of an activation
    static F load_act(const uint8_t * p) { return Vec::loadf(reinterpret_cast<const float *>(p)); }
    static F fma(F w, F x, F s) { return Vec::fma(w, x, s); }
};
struct WF32 : WFloat {
    static constexpr int BYTES = 4;  // of a weight
    static F load(const uint8_t * p) { return Vec::loadf(reinterpret_cast<const float *>(p)); }
};
struct WF16 : WFloat {
    static constexpr int BYTES = 2;
    static F load(const uint8_t * p) { return Vec::load_half(p); }
};
struct WBF16 : WFloat {
    static constexpr int BYTES = 2;
    static F load(const uint8_t * p) { return Vec::load_bf16(p); }
};

constexpr int DOT_ROWS   = 4;                // weight rows of one pass
constexpr int DOT_TOKENS = Vec::DOT_TOKENS;  // activation rows of one pass, at most: the sums of both fill the registers

// s[m][t] += W::COLS columns, first of them k, of weight row m and activation row t
template <class W, int M, int N> MOE_INLINE void dot_step(const uint8_t * w, size_t stride, const uint8_t * const * x, int k, F (&s)[M][N]) {
    decltype(W::load_act(w)) b[N];
    MOE_UNROLL
    for (int t = 0; t < N; ++t) { b[t] = W::load_act(x[t] + size_t(k) * W::ACT_BYTES); }
    MOE_UNROLL
    for (int m = 0; m < M; ++m) {
        const auto v = W::load(w + size_t(m) * stride);
        MOE_UNROLL
        for (int t = 0; t < N; ++t) { s[m][t] = W::fma(v, b[t], s[m][t]); }
    }
}

// A pass over a tile: some activation rows, from t0 on, with all weight rows. Of the next tile it prefetches its share, the
// rows first..last - 1 of every DOT_ROWS: memory should never wait for the products.
struct Pass { int t0, first, last; };

// M weight rows from `row` on, N activation rows. The next tile is prefetched on the way, at the same place of each row or
// in address order (see Ahead). Past the last row the address may be unmapped: a prefetch never faults.
template <class W, int M, int N> void dot_rows(const TileArgs & a, int row, Pass pass) {
    const uint8_t * ahead = a.next != nullptr ? a.next + size_t(row) * a.stride : nullptr;
    const int last = pass.last < M ? pass.last : M;
    const uint8_t * w = a.w + size_t(row) * a.stride;
    const uint8_t * const * x = a.x + pass.t0;
    F s[M][N];  // in registers only while every loop over it is unrolled: else each step stores all of them
    MOE_UNROLL
    for (int m = 0; m < M; ++m) {
        MOE_UNROLL
        for (int t = 0; t < N; ++t) { s[m][t] = Vec::zerof(); }
    }
    const int whole = a.layout.k / W::COLS * W::COLS;
    for (int k = 0; k < whole; k += W::COLS) {
        if (ahead != nullptr && size_t(k) * W::BYTES % 64 == 0) {
            for (int m = pass.first; m < last; ++m) {
                const size_t in_rows  = size_t(m) * a.stride + size_t(k) * W::BYTES;
                const size_t in_order = size_t(k) * W::BYTES * M + size_t(m) * 64;
                Vec::prefetch(ahead + (Vec::AHEAD_STREAMS == 1 ? in_order : in_rows));
            }
        }
        dot_step<W, M, N>(w + size_t(k) * W::BYTES, a.stride, x, k, s);
    }
    if (whole < a.layout.k) {  // activation rows are padded with zeros, weight rows are not
        uint8_t rest[M][W::COLS * W::BYTES] = {};
        for (int m = 0; m < M; ++m) {
            memcpy(rest[m], w + size_t(m) * a.stride + size_t(whole) * W::BYTES, size_t(a.layout.k - whole) * W::BYTES);
        }
        dot_step<W, M, N>(rest[0], sizeof rest[0], x, whole, s);
    }
    MOE_UNROLL
    for (int t = 0; t < N; ++t) {
        float * out = a.acc + size_t(pass.t0 + t) * TILE_ROWS + row;
        if constexpr (M == 4) {
            Vec::hsum4(s[0][t], s[1][t], s[2][t], s[3][t], out);
        } else {
            MOE_UNROLL
            for (int m = 0; m < M; ++m) { out[m] = Vec::hsum(s[m][t]); }
        }
    }
}

// `n` <= N activation rows, all rows of the tile.
template <class W, int N> void dot_tile(const TileArgs & a, Pass pass, int n) {
    if constexpr (N > 1) {
        if (n < N) { return dot_tile<W, N - 1>(a, pass, n); }
    }
    int row = 0;
    for (; row + DOT_ROWS <= a.rows; row += DOT_ROWS) { dot_rows<W, DOT_ROWS, N>(a, row, pass); }
    for (; row < a.rows; ++row) { dot_rows<W, 1, N>(a, row, pass); }
}

template <class W> void tile_float(const TileArgs & a) {
    const int passes = (a.n + DOT_TOKENS - 1) / DOT_TOKENS;  // of nearly equal size
    for (int p = 0; p < passes; ++p) {
        const Pass pass{a.n * p / passes, DOT_ROWS * p / passes, DOT_ROWS * (p + 1) / passes};
        dot_tile<W, DOT_TOKENS>(a, pass, a.n * (p + 1) / passes - pass.t0);
    }
}

}  // namespace MOE_ISA
}  // namespace moe

// The tile product for F32, F16 and BF16 weights. Compiled once per instruction set; include after gemm-inl.h.
#pragma once

#include "kernels.h"

namespace moe {
namespace MOE_ISA {

constexpr int kFloatCols = 64;  // columns of a float panel: 64 x 32 rows x 4 bytes is a quarter of L1

struct FloatPanel {
    alignas(64) float w[kFloatCols][L];  // [column][row]
};

struct WF32 {
    static constexpr int kBytes = 4;
    static F load(const uint8_t * p) { return Vec::loadf(reinterpret_cast<const float *>(p)); }
    static void cols(const Rows & p, int at, FloatPanel & o, int c) {  // 4 columns
        I v[4];
        Vec::rows16(p, at, v);
        for (int j = 0; j < 4; ++j) { Vec::storef(o.w[c + j], Vec::cast(v[j])); }
    }
};
struct WF16 {
    static constexpr int kBytes = 2;
    static F load(const uint8_t * p) { return Vec::load_half(p); }
    static void cols(const Rows & p, int at, FloatPanel & o, int c) {  // 8 columns
        I v[4];
        Vec::rows16(p, at, v);
        for (int j = 0; j < 4; ++j) {
            Vec::storef(o.w[c + 2 * j], Vec::half_lo(v[j]));
            Vec::storef(o.w[c + 2 * j + 1], Vec::half_lo(Vec::srl<16>(v[j])));
        }
    }
};
struct WBF16 {
    static constexpr int kBytes = 2;
    static F load(const uint8_t * p) { return Vec::load_bf16(p); }
    static void cols(const Rows & p, int at, FloatPanel & o, int c) {  // 8 columns
        I v[4];
        Vec::rows16(p, at, v);
        for (int j = 0; j < 4; ++j) {
            Vec::storef(o.w[c + 2 * j], Vec::cast(Vec::sll<16>(v[j])));
            Vec::storef(o.w[c + 2 * j + 1], Vec::cast(Vec::and_(v[j], Vec::set32(0xffff0000u))));
        }
    }
};

template <int N> void float_mul(const FloatPanel * pn, int k0, int cols, const uint8_t * const * x, float * acc) {
    F f[R][N];
    for (int t = 0; t < N; ++t) {
        for (int r = 0; r < R; ++r) { f[r][t] = Vec::loadf(acc + t * kTileRows + r * L); }
    }
    for (int k = 0; k < cols; ++k) {
        F w[R];
        for (int r = 0; r < R; ++r) { w[r] = Vec::loadf(pn[r].w[k]); }
        for (int t = 0; t < N; ++t) {
            const F b = Vec::bcastf(reinterpret_cast<const float *>(x[t]) + k0 + k);
            for (int r = 0; r < R; ++r) { f[r][t] = Vec::fma(w[r], b, f[r][t]); }
        }
    }
    for (int t = 0; t < N; ++t) {
        for (int r = 0; r < R; ++r) { Vec::storef(acc + t * kTileRows + r * L, f[r][t]); }
    }
}

template <int N> inline void float_rest(const FloatPanel * pn, int k0, int cols, const uint8_t * const * x, int n, float * acc) {
    if constexpr (N > 0) {
        if (n == N) {
            float_mul<N>(pn, k0, cols, x, acc);
        } else {
            float_rest<N - 1>(pn, k0, cols, x, n, acc);
        }
    }
}

// Prefetches a part of the next tile: what corresponds to vector r of columns [k0, k0 + cols). A tile's rows lie one
// after another, so this reads memory in address order. Past the last row the address may be unmapped: a prefetch never
// faults.
inline void prefetch_next(const TileArgs & a, int k0, int cols, int r) {
    if (a.next == nullptr) { return; }
    const size_t bytes = size_t(kTileRows) * a.stride, steps = size_t(a.layout.k) * R;
    const uint8_t * p   = a.next + bytes * size_t(k0 * R + cols * r) / steps / 64 * 64;
    const uint8_t * end = a.next + bytes * size_t(k0 * R + cols * (r + 1)) / steps;
    for (; p < end; p += 64) { Vec::prefetch(p); }
}

// Few activation rows: M weight rows as they lie, N activation rows, vectors along the columns. k is a multiple of L.
// The same place of the next tile is prefetched on the way, a burst per kBurst columns (see prefetch_next).
template <class W, int M, int N> void dot_rows(const TileArgs & a, int row) {
    constexpr int kBurst = 256;
    const uint8_t * ahead = a.next ? a.next + size_t(row) * a.stride : nullptr;
    F s[M][N];
    for (int m = 0; m < M; ++m) {
        for (int t = 0; t < N; ++t) { s[m][t] = Vec::zerof(); }
    }
    for (int k = 0; k < a.layout.k; k += L) {
        if (ahead != nullptr && k % kBurst == 0) {
            for (int i = 0; i < M * kBurst * W::kBytes / 64; ++i, ahead += 64) { Vec::prefetch(ahead); }
        }
        F x[N];
        for (int t = 0; t < N; ++t) { x[t] = Vec::loadf(reinterpret_cast<const float *>(a.x[t]) + k); }
        for (int m = 0; m < M; ++m) {
            const F w = W::load(a.w + size_t(row + m) * a.stride + size_t(k) * W::kBytes);
            for (int t = 0; t < N; ++t) { s[m][t] = Vec::fma(w, x[t], s[m][t]); }
        }
    }
    for (int m = 0; m < M; ++m) {
        for (int t = 0; t < N; ++t) { a.acc[size_t(t) * kTileRows + size_t(row + m)] = Vec::hsum(s[m][t]); }
    }
}

template <class W, int N> void tile_float_few(const TileArgs & a) {
    int row = 0;
    for (; row + 4 <= a.rows; row += 4) { dot_rows<W, 4, N>(a, row); }
    for (; row < a.rows; ++row) { dot_rows<W, 1, N>(a, row); }
}

template <class W> void tile_float(const TileArgs & a) {
    if (a.layout.k % L == 0 && a.n <= 3) {
        return a.n == 1 ? tile_float_few<W, 1>(a) : a.n == 2 ? tile_float_few<W, 2>(a) : tile_float_few<W, 3>(a);
    }
    constexpr int kStep = 16 / W::kBytes;  // columns per rows16
    constexpr int kRow  = kFloatCols * W::kBytes;
    FloatPanel pn[R];
    TailRows<kRow> tail;
    memset(a.acc, 0, size_t(a.n) * kTileRows * sizeof(float));
    for (int k0 = 0; k0 < a.layout.k; k0 += kFloatCols) {
        const int    cols  = a.layout.k - k0 < kFloatCols ? a.layout.k - k0 : kFloatCols;
        const size_t bytes = size_t(cols) * W::kBytes;
        const uint8_t * w = a.w + size_t(k0) * W::kBytes;
        size_t stride = a.stride;
        if (a.rows < kTileRows || cols % kStep != 0) {
            tail.fill(w, stride, a.rows, bytes);
            w = tail.data;
            stride = tail.kStride;
        }
        for (int r = 0; r < R; ++r) {
            const Rows rows(w + size_t(r * L) * stride, stride);
            prefetch_next(a, k0, cols, r);
            for (int c = 0; c < cols; c += kStep) {
                W::cols(rows, c * W::kBytes, pn[r], c);
            }
        }
        int t = 0;
        for (; t + NT <= a.n; t += NT) { float_mul<NT>(pn, k0, cols, a.x + t, a.acc + size_t(t) * kTileRows); }
        float_rest<NT - 1>(pn, k0, cols, a.x + t, a.n - t, a.acc + size_t(t) * kTileRows);
    }
}

}  // namespace MOE_ISA
}  // namespace moe

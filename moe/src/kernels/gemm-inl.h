// The tile product: unpack a panel of weight rows into L1 once, multiply it with every activation row.
// Compiled once per instruction set (namespace MOE_ISA); include after unpack-inl.h.
#pragma once

#include <stdint.h>
#include <string.h>

#include "kernels.h"

namespace moe {
namespace MOE_ISA {

constexpr int L = Vec::L, R = Vec::R, NT = Vec::NT;
constexpr int kTileRows = L * R;

// p = (first) or += the products of four columns, in pairs of 16 bits: R vectors of rows times N activation rows.
// Without VNNI only.
template <class T, int N, class V>
MOE_INLINE void pairs_step(bool first, const Panel * pn, int kg, const uint8_t * const * x, int col, I (&p)[R][N]) {
    I b[N];
    MOE_UNROLL
    for (int t = 0; t < N; ++t) { b[t] = V::bcast32(x[t] + col); }
    MOE_UNROLL
    for (int r = 0; r < R; ++r) {
        const I w = V::load(pn[r].q[kg]);
        const I a = T::kSigned8 ? V::abs8(w) : w;
        MOE_UNROLL
        for (int t = 0; t < N; ++t) {
            const I m = V::mul_u8s8(a, T::kSigned8 ? V::sign8(b[t], w) : b[t]);
            p[r][t] = first ? m : V::add16(p[r][t], m);
        }
    }
}

// Without VNNI: how many vectors' 16-bit sums of pairs of products fit 16 bits; a power of two that divides `vectors`.
template <class T> constexpr int widen_period(int vectors) {
    const int most = 32767 / (T::kMaxU * 127 * 2);
    int period = 8;
    while (period > 1 && (period > most || period > vectors)) { period /= 2; }
    return period;
}

// acc + sum over one group of w * x for R vectors of rows and N activation rows.
template <class T, int N, class V = Vec>
inline void group_dot(const Panel * pn, int kg0, const uint8_t * const * x, int col, I (&acc)[R][N]) {
    if constexpr (V::kVnni) {
        for (int s = 0; s < T::kGroup / 4; ++s) {
            I w[R];
            for (int r = 0; r < R; ++r) { w[r] = V::load(pn[r].q[kg0 + s]); }
            for (int t = 0; t < N; ++t) {
                const I b = V::bcast32(x[t] + col + 4 * s);
                for (int r = 0; r < R; ++r) { acc[r][t] = V::dot(acc[r][t], w[r], b); }
            }
        }
    } else {
        constexpr int steps  = T::kGroup / 4;
        constexpr int period = widen_period<T>(steps);
        for (int s = 0; s < steps; s += period) {
            I p[R][N] = {};  // zeros
            // Eight steps unrolled whole make GCC 12 load ahead and spill: 65 against 92 GMAC/s for Q4_K (Zen 3). Four
            // steps in pairs are slower than whole: 73 against 81.
            if constexpr (period == 8) {
                _Pragma("GCC unroll 2")
                for (int u = 0; u < period; ++u) { pairs_step<T, N, V>(false, pn, kg0 + s + u, x, col + 4 * (s + u), p); }
            } else {
                MOE_UNROLL
                for (int u = 0; u < period; ++u) { pairs_step<T, N, V>(u == 0, pn, kg0 + s + u, x, col + 4 * (s + u), p); }
            }
            MOE_UNROLL
            for (int r = 0; r < R; ++r) {
                MOE_UNROLL
                for (int t = 0; t < N; ++t) { acc[r][t] = V::widen_add(acc[r][t], p[r][t]); }
            }
        }
    }
}

inline const float * row_f32(const uint8_t * row, int32_t off) { return reinterpret_cast<const float *>(row + off); }

// acc[N][kTileRows] += panel (cols columns, first of them k0) * N activation rows
template <class T, int N>
void panel_mul(const Panel * pn, int k0, int cols, const uint8_t * const * x, const ActLayout & l, float * acc) {
    constexpr int G = T::kGroup;
    F f[R][N];
    for (int t = 0; t < N; ++t) {
        for (int r = 0; r < R; ++r) {
            f[r][t] = T::kActScale == 256 ? Vec::zerof() : Vec::loadf(acc + t * kTileRows + r * L);
        }
    }
    for (int g = 0; g < cols / G; ++g) {
        const int col = k0 + g * G;
        I a[R][N];
        for (int t = 0; t < N; ++t) {
            const I init = T::kOffset ? Vec::bcast32(x[t] + l.off_init + 4 * (col / G)) : Vec::zero();
            for (int r = 0; r < R; ++r) { a[r][t] = init; }
        }
        group_dot<T, N>(pn, g * (G / 4), x, col, a);
        for (int r = 0; r < R; ++r) {
            const F ws = Vec::loadf(pn[r].scale[g]);
            for (int t = 0; t < N; ++t) {
                const F s = T::kActScale == 256 ? ws : Vec::mul(ws, Vec::bcastf(row_f32(x[t], l.off_d) + col / 32));
                f[r][t] = Vec::fma(Vec::cvt(a[r][t]), s, f[r][t]);
            }
        }
        if constexpr (T::kMinStep != 0) {
            constexpr int M = T::kMinStep;
            for (int m = 0; m < G / M; ++m) {
                for (int r = 0; r < R; ++r) {
                    const F wm = Vec::loadf(pn[r].min[g * (G / M) + m]);
                    for (int t = 0; t < N; ++t) {
                        f[r][t] = Vec::fnma(wm, Vec::bcastf(row_f32(x[t], l.off_sum) + col / M + m), f[r][t]);
                    }
                }
            }
        }
    }
    for (int t = 0; t < N; ++t) {
        for (int r = 0; r < R; ++r) {
            float * p = acc + t * kTileRows + r * L;
            F out = f[r][t];
            if (T::kActScale == 256) { out = Vec::fma(out, Vec::bcastf(row_f32(x[t], l.off_d) + k0 / 256), Vec::loadf(p)); }
            Vec::storef(p, out);
        }
    }
}

template <class T, int N>
inline void panel_rest(const Panel * pn, int k0, int cols, const uint8_t * const * x, int n, const ActLayout & l, float * acc) {
    if constexpr (N > 0) {
        if (n == N) {
            panel_mul<T, N>(pn, k0, cols, x, l, acc);
        } else {
            panel_rest<T, N - 1>(pn, k0, cols, x, n, l, acc);
        }
    }
}

// Rows of a partial tile, copied so that every lane reads valid memory.
template <int Bytes> struct TailRows {
    static constexpr size_t kStride = (size_t(Bytes) + 63) / 64 * 64;
    alignas(64) uint8_t data[kTileRows * kStride];

    void fill(const uint8_t * w, size_t stride, int rows, size_t bytes) {
        for (int r = 0; r < kTileRows; ++r) {
            const int src = r < rows ? r : rows - 1;
            memcpy(data + size_t(r) * kStride, w + size_t(src) * stride, bytes);
            memset(data + size_t(r) * kStride + bytes, 0, kStride - bytes);
        }
    }
};

// Multiplies what a trait unpacks with one activation row at once, without storing it. A group's sum gets its scale with
// the group's last vector, so that few sums are alive at a time and stay in registers.
template <class T> struct DirectSink {
    static constexpr int kGroupVectors = T::kGroup / 4;
    static constexpr int kSpan    = T::kGroup == 256 ? 128 : T::kGroup < 32 ? T::kGroup : 32;  // columns per accumulator
    static constexpr int kAccs    = T::kCols / kSpan;
    static constexpr int kPeriod  = widen_period<T>(kSpan / 4);
    static constexpr int kMinCols = T::kMinStep ? T::kMinStep : T::kCols;
    static constexpr int kScaled  = 4;  // vectors that put_scaled gives one scale, one after another
    static constexpr bool kOneActScale = T::kActScale == 256;
    const uint8_t * x;     // activations of this block
    const uint8_t * init;  // per group, what makes up for kOffset: int32
    const float *   sums;  // of the activations, per kMinStep columns
    Ahead<T> ahead;
    F act_scale;
    F dots;                 // products of the complete groups, before act_scale if the block has one
    F mins = Vec::zerof();  // sum of the minimums times the activations, before min_scale
    F min_scale;
    F scale[T::kCols / T::kGroup];
    I acc[kAccs];
    I part[T::kCols / 4];  // sums that are not in acc yet, by their first vector

    // f: the dot products of the blocks before this one
    MOE_INLINE DirectSink(F f, const uint8_t * row, const ActLayout & l, int col, const uint8_t * next)
        : x(row + col), init(row + l.off_init + 4 * (col / T::kGroup)),
          sums(row_f32(row, l.off_sum) + col / kMinCols), ahead{next},
          act_scale(Vec::bcastf(row_f32(row, l.off_d) + col / T::kActScale)), dots(kOneActScale ? Vec::zerof() : f) {}

    template <class V = Vec> MOE_INLINE void put(int kg, I v) {
        ahead.step(kg);
        I & a = sum_at(kg);
        const I b = V::bcast32(x + 4 * kg);
        if constexpr (V::kVnni) {
            a = V::dot(a, v, b);
        } else {
            I & p = part[kg / kPeriod * kPeriod];
            const I m = T::kSigned8 ? V::mul_u8s8(V::abs8(v), V::sign8(b, v)) : V::mul_u8s8(v, b);
            p = kg % kPeriod == 0 ? m : V::add16(p, m);
            if (kg % kPeriod == kPeriod - 1) { a = V::widen_add(a, p); }
        }
        scale_if_last(kg);
    }
    MOE_INLINE void put_s8(int kg, I v) { put(kg, s8_to_stored(v)); }
    // Weights of at most two bits; the products of four vectors are summed before their scale is applied, once.
    template <class V = Vec> MOE_INLINE void put_scaled(int kg, I v, I s) {
        static_assert(3 * 127 * 2 * kScaled <= 32767, "the sums before the scale fit 16 bits");
        ahead.step(kg);
        I & a = sum_at(kg);
        I & p = part[kg / kScaled * kScaled];
        const I b = V::bcast32(x + 4 * kg);
        if constexpr (V::kVnni) {
            p = V::dot(kg % kScaled == 0 ? V::zero() : p, v, b);
        } else {
            const I m = V::mul_u8s8(v, b);
            p = kg % kScaled == 0 ? m : V::add16(p, m);
        }
        if (kg % kScaled == kScaled - 1) { a = V::scaled_add(a, p, s); }
        scale_if_last(kg);
    }
    MOE_INLINE void put_scale(int g, F v) { scale[g] = kOneActScale ? v : Vec::mul(v, act_scale); }
    MOE_INLINE void put_min(int g, F v, F d) {
        mins      = Vec::fma(v, Vec::bcastf(sums + g), mins);
        min_scale = d;
    }

    // f, that of the constructor, plus the dot products of the block
    MOE_INLINE F finish(F f) const {
        const F p = T::kMinStep != 0 ? Vec::fnma(min_scale, mins, dots) : dots;
        return kOneActScale ? Vec::fma(p, act_scale, f) : p;
    }

private:
    // The accumulator of the kg-th vector.
    MOE_INLINE I & sum_at(int kg) {
        constexpr int kVectors = kSpan / 4;
        I & a = acc[kg / kVectors];
        if (kg % kVectors == 0) { a = T::kOffset ? Vec::bcast32(init + kg / kVectors * 4) : Vec::zero(); }
        return a;
    }
    MOE_INLINE void scale_if_last(int kg) {
        if (kg % kGroupVectors != kGroupVectors - 1) { return; }
        constexpr int kPer = T::kGroup / kSpan;
        const int g = kg / kGroupVectors;
        I a = acc[g * kPer];
        MOE_UNROLL
        for (int i = 1; i < kPer; ++i) { a = Vec::add(a, acc[g * kPer + i]); }
        dots = Vec::fma(Vec::cvt(a), scale[g], dots);
    }
};

// One activation row: bound by memory, so nothing is stored on the way.
template <class T> void tile_quant_1(const TileArgs & a) {
    const uint8_t * row   = a.x[0];
    const uint8_t * ahead = a.next != nullptr ? a.next : a.w;
    F f[R];
    for (int r = 0; r < R; ++r) { f[r] = Vec::zerof(); }
    for (int k0 = 0; k0 < a.layout.k; k0 += kPanelCols) {
        const int end = a.layout.k - k0 < kPanelCols ? a.layout.k : k0 + kPanelCols;
        for (int r = 0; r < R; ++r) {
            const uint8_t * w = a.w + size_t(r * L) * a.stride + size_t(k0 / T::kCols) * T::kBytes;
            for (int col = k0; col < end; col += T::kCols, w += T::kBytes, ahead += Ahead<T>::kBytes) {
                DirectSink<T> sink(f[r], row, a.layout, col, ahead);
                T::block(Rows(w, a.stride), sink);
                f[r] = sink.finish(f[r]);
            }
        }
    }
    for (int r = 0; r < R; ++r) { Vec::storef(a.acc + r * L, f[r]); }
}

template <class T> void tile_quant(const TileArgs & a) {
    constexpr int kBlocks = kPanelCols / T::kCols;   // blocks in a full panel
    constexpr int kBytes  = kBlocks * T::kBytes;     // of one row
    if (a.n == 1 && a.rows == kTileRows) { return tile_quant_1<T>(a); }
    Panel pn[R];
    TailRows<kBytes> tail;
    const uint8_t * ahead = a.next != nullptr ? a.next : a.w;
    memset(a.acc, 0, size_t(a.n) * kTileRows * sizeof(float));
    for (int k0 = 0; k0 < a.layout.k; k0 += kPanelCols) {
        const int       cols   = a.layout.k - k0 < kPanelCols ? a.layout.k - k0 : kPanelCols;
        const int       blocks = cols / T::kCols;
        const uint8_t * w      = a.w + size_t(k0 / T::kCols) * T::kBytes;
        size_t          stride = a.stride;
        if (a.rows < kTileRows) {
            tail.fill(w, stride, a.rows, size_t(blocks) * T::kBytes);
            w      = tail.data;
            stride = tail.kStride;
        }
        for (int r = 0; r < R; ++r) {
            for (int b = 0; b < blocks; ++b, ahead += Ahead<T>::kBytes) {
                PanelSink<T> sink{pn[r], b * (T::kCols / 4), {ahead}};
                T::block(Rows(w + size_t(r * L) * stride + size_t(b) * T::kBytes, stride), sink);
            }
        }
        int t = 0;
        for (; t + NT <= a.n; t += NT) { panel_mul<T, NT>(pn, k0, cols, a.x + t, a.layout, a.acc + size_t(t) * kTileRows); }
        panel_rest<T, NT - 1>(pn, k0, cols, a.x + t, a.n - t, a.layout, a.acc + size_t(t) * kTileRows);
    }
}

}  // namespace MOE_ISA
}  // namespace moe

// The tile product: unpack a panel of weight rows into L1 once, multiply it with every activation row.
// Compiled once per instruction set (namespace MOE_ISA); include after the traits.
#pragma once

#include <stdint.h>
#include <string.h>

#include <utility>

#include "kernels.h"

namespace moe {
namespace MOE_ISA {

constexpr int L = Vec::L, R = Vec::R, NT = Vec::NT;
constexpr int TILE_VECS = R * Vec::PASSES, TILE_ROWS = L * TILE_VECS;

// A number for each of R vectors of rows times N activation rows.
template <int N> using Ints   = I[R][N];
template <int N> using Floats = F[R][N];

// fn(0), fn(1), ... fn(N - 1). Written out where it matters: GCC 12 unrolls loops only after it has decided what may live in
// registers.
template <class Fn, int... i> MOE_INLINE void written_out(Fn fn, std::integer_sequence<int, i...>) { (fn(i), ...); }
template <int N, class Fn> MOE_INLINE void times(Fn fn) {
    if constexpr (Vec::IN_REGISTERS) {
        written_out(fn, std::make_integer_sequence<int, N>());
    } else {
        for (int i = 0; i < N; ++i) { fn(i); }
    }
}

// v in a register, computed here. Left alone, GCC 12 puts sums of products off until they spill, or copies them.
template <class V> MOE_INLINE void keep(V & v) { Vec::keep(v); }

template <class V, int M, int N, class Fn> MOE_INLINE void each(V (&sums)[M][N], Fn value) {
    times<M * N>([&](int i) MOE_INLINED { sums[i / N][i % N] = value(i / N, i % N); });
}

inline const float * row_f32(const uint8_t * row, int32_t off) { return reinterpret_cast<const float *>(row + off); }

// Where products are summed in pairs: how many vectors' 16-bit sums of pairs of products fit 16 bits; a power of two that divides `vectors`.
template <class T> constexpr int widen_period(int vectors) {
    const int most = 32767 / (T::MAX_U * 127 * 2);
    int period = 8;
    while (period > 1 && (period > most || period > vectors)) { period /= 2; }
    return period;
}

// In pairs: acc += the products of four columns, times the group's factor if it has one. p: sums of pairs of products in 16
// bits, which go to acc with the last that fits; u: the step's number in an aligned run of them.
template <class T, int N, class V>
MOE_INLINE void pairs_step(const Panel * pn, int g, int kg, const uint8_t * const * x, int col, int u, Ints<N> & p, Ints<N> & acc) {
    constexpr int period = widen_period<T>(T::GROUP / 4);
    I b[N];
    times<N>([&](int t) MOE_INLINED { b[t] = V::bcast32(x[t] + col); });
    times<R>([&](int r) MOE_INLINED {
        const I w = V::load(pn[r].q[kg]);
        const I a = T::SIGNED8 ? V::abs8(w) : w;
        times<N>([&](int t) MOE_INLINED {
            const I m = V::mul_u8s8(a, T::SIGNED8 ? V::sign8(b[t], w) : b[t]);
            p[r][t] = u % period == 0 ? m : V::add16(p[r][t], m);
            if (u % period < period - 1) {
                keep(p[r][t]);
            } else {
                acc[r][t] = whole_scales<T>() ? V::scaled_add(acc[r][t], p[r][t], V::load(pn[r].factor[g])) : V::widen_add(acc[r][t], p[r][t]);
                keep(acc[r][t]);
            }
        });
    });
}

// In fours: acc += the products of four columns, the u-th of the group. b: activations of the steps that one vector holds.
template <class T, int N, class V>
MOE_INLINE void dot_step(const Panel * pn, int kg, const uint8_t * const * x, int col, int u, I (&b)[N], Ints<N> & acc) {
    I w[R];
    times<R>([&](int r) MOE_INLINED { w[r] = V::load(pn[r].q[kg]); });
    times<N>([&](int t) MOE_INLINED {
        if (u % V::DOT_STEPS == 0) { b[t] = V::acts(x[t] + col); }
        times<R>([&](int r) MOE_INLINED {
            acc[r][t] = V::dot(acc[r][t], w[r], b[t], u % V::DOT_STEPS);
            keep(acc[r][t]);
        });
    });
}

// acc += the products of group g; where they are summed in pairs, times its factor, if it has one.
template <class T, int N, class V = Vec>
MOE_INLINE void group_dot(const Panel * pn, int g, const uint8_t * const * x, int col, Ints<N> & acc) {
    constexpr int steps = T::GROUP / 4, run = steps < 8 ? steps : 8;
    for (int s = 0; s < steps; s += run) {
        Ints<N> p;  // sums of pairs, in 16 bits
        I b[N];     // activations
        times<run>([&](int u) MOE_INLINED {
            const int kg = g * steps + s + u, at = col + 4 * (s + u);
            if constexpr (V::DOT) {
                dot_step<T, N, V>(pn, kg, x, at, u, b, acc);
            } else {
                pairs_step<T, N, V>(pn, g, kg, x, at, u, p, acc);
            }
        });
    }
}

// What the products of a group are added to: zero, or what makes up for the offset.
template <class T, int N> MOE_INLINE void group_start(const uint8_t * const * x, int col, const ActLayout & l, Ints<N> & a) {
    each(a, [&](int, int t) MOE_INLINED { return T::OFFSET ? Vec::bcast32(x[t] + l.off_init + 4 * (col / T::GROUP)) : Vec::zero(); });
}

// f = the products of a panel, before its block's scale and minimums
template <class T, int N>
MOE_INLINE void float_dots(const Panel * pn, int k0, int cols, const uint8_t * const * x, const ActLayout & l, Floats<N> & f) {
    each(f, [](int, int) MOE_INLINED { return Vec::zerof(); });
    for (int g = 0; g < cols / T::GROUP; ++g) {
        const int col = k0 + g * T::GROUP;
        Ints<N> a;
        group_start<T, N>(x, col, l, a);
        group_dot<T, N>(pn, g, x, col, a);
        each(f, [&](int r, int t) MOE_INLINED {
            const F ws = Vec::loadf(pn[r].scale[g]);
            const F s  = T::ACT_SCALE == 256 ? ws : Vec::mul(ws, Vec::bcastf(row_f32(x[t], l.off_d) + col / 32));
            return Vec::fma(Vec::cvt(a[r][t]), s, f[r][t]);
        });
    }
}

// The same with whole scales.
template <class T, int N>
MOE_INLINE void whole_dots(const Panel * pn, int k0, int cols, const uint8_t * const * x, const ActLayout & l, Floats<N> & f) {
    Ints<N> sum;
    each(sum, [](int, int) MOE_INLINED { return Vec::zero(); });
    for (int g = 0; g < cols / T::GROUP; ++g) {
        const int col = k0 + g * T::GROUP;
        if constexpr (Vec::DOT) {
            Ints<N> a;
            group_start<T, N>(x, col, l, a);
            group_dot<T, N>(pn, g, x, col, a);
            each(sum, [&](int r, int t) MOE_INLINED {
                I s = Vec::scaled_add(sum[r][t], a[r][t], Vec::load(pn[r].factor[g]));
                keep(s);
                return s;
            });
        } else {
            group_dot<T, N>(pn, g, x, col, sum);
        }
    }
    each(f, [&](int r, int t) MOE_INLINED { return Vec::cvt(sum[r][t]); });
}

// acc[n][TILE_ROWS] += f, the products of M panels (cols columns, first of them k0) with n <= N activation rows, with what all
// groups of a block share: its scale, that of the activations, and the minimums
template <class T, int M, int N>
MOE_INLINE void add_blocks(const Panel * pn, int k0, int cols, const uint8_t * const * x, int n, const ActLayout & l,
                           F (&f)[M][N], float * acc) {
    if constexpr (T::BLOCK_SCALE) {
        each(f, [&](int r, int t) MOE_INLINED { return Vec::mul(f[r][t], Vec::loadf(pn[r].block_scale)); });
    }
    if constexpr (T::MIN_STEP != 0) {
        for (int m = 0; m < cols / T::MIN_STEP; ++m) {
            each(f, [&](int r, int t) MOE_INLINED {
                const F sum = Vec::bcastf(row_f32(x[t], l.off_sum) + k0 / T::MIN_STEP + m);
                return Vec::fnma(Vec::loadf(pn[r].min[m]), sum, f[r][t]);
            });
        }
    }
    times<M * N>([&](int i) MOE_INLINED {
        const int r = i / N, t = i % N;
        if (t >= n) { return; }
        const F before = Vec::loadf(acc + t * TILE_ROWS + r * L);
        const F sum    = T::ACT_SCALE == 256 ? Vec::fma(f[r][t], Vec::bcastf(row_f32(x[t], l.off_d) + k0 / 256), before)
                                             : Vec::add(f[r][t], before);
        Vec::storef(acc + t * TILE_ROWS + r * L, sum);
    });
}

// acc[N][TILE_ROWS] += panel (cols columns, first of them k0) * N activation rows
template <class T, int N>
void panel_mul(const Panel * pn, int k0, int cols, const uint8_t * const * x, const ActLayout & l, float * acc) {
    Floats<N> f;
    if constexpr (whole_scales<T>()) {
        whole_dots<T, N>(pn, k0, cols, x, l, f);
    } else {
        float_dots<T, N>(pn, k0, cols, x, l, f);
    }
    add_blocks<T>(pn, k0, cols, x, N, l, f, acc);
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
    static constexpr size_t STRIDE = (size_t(Bytes) + 63) / 64 * 64;
    alignas(64) uint8_t data[TILE_ROWS * STRIDE];

    void fill(const uint8_t * w, size_t stride, int rows, size_t bytes) {
        for (int r = 0; r < TILE_ROWS; ++r) {
            const int src = r < rows ? r : rows - 1;
            memcpy(data + size_t(r) * STRIDE, w + size_t(src) * stride, bytes);
            memset(data + size_t(r) * STRIDE + bytes, 0, STRIDE - bytes);
        }
    }
};

// Multiplies what a trait unpacks with one activation row at once, without storing it. A group's sum gets its scale with
// the group's last vector, so that few sums are alive at a time and stay in registers.
template <class T> struct DirectSink {
    static constexpr int GROUP_VECTORS = T::GROUP / 4;
    static constexpr int SPAN    = T::GROUP == 256 ? 128 : T::GROUP < 32 ? T::GROUP : 32;  // columns per accumulator
    static constexpr int ACCS    = T::COLS / SPAN;
    static constexpr int PERIOD  = widen_period<T>(SPAN / 4);
    static constexpr int MIN_COLS = T::MIN_STEP ? T::MIN_STEP : T::COLS;
    static constexpr int SCALED  = 4;  // vectors that put_scaled gives one scale, one after another
    static constexpr bool ONE_ACT_SCALE = T::ACT_SCALE == 256;
    static constexpr int  ACT_SCALES   = T::ACT_SCALE < T::COLS ? T::COLS / T::ACT_SCALE : 1;
    const uint8_t * x;     // activations of this block
    const uint8_t * init;  // per group, what makes up for OFFSET: int32
    const float *   sums;  // of the activations, per MIN_STEP columns
    Ahead<T> ahead;
    F act_scale[ACT_SCALES];
    F dots;                 // products of the complete groups, before act_scale if the block has one
    F mins = Vec::zerof();  // sum of the minimums times the activations, before min_scale
    F min_scale;
    F scale[T::COLS / T::GROUP];
    I factor[T::COLS / T::GROUP];
    F block_scale;
    I total = Vec::zero();  // products times factors, before block_scale
    I acc[ACCS];
    I part[T::COLS / 4];  // sums that are not in acc yet, by their first vector

    // f: the dot products of the blocks before this one
    MOE_INLINE DirectSink(F f, const uint8_t * row, const ActLayout & l, int col, const Ahead<T> & tile_ahead)
        : x(row + col), init(row + l.off_init + 4 * (col / T::GROUP)),
          sums(row_f32(row, l.off_sum) + col / MIN_COLS), ahead(tile_ahead), dots(ONE_ACT_SCALE ? Vec::zerof() : f) {
        MOE_UNROLL
        for (int i = 0; i < ACT_SCALES; ++i) { act_scale[i] = Vec::bcastf(row_f32(row, l.off_d) + col / T::ACT_SCALE + i); }
    }

    template <class V = Vec> MOE_INLINE void put(int kg, I v) {
        ahead.step(kg);
        I & a = sum_at(kg);
        if constexpr (V::DOT) {
            a = dot<V>(a, kg, v);
        } else {
            const I b = V::bcast32(x + 4 * kg);
            I & p = part[kg / PERIOD * PERIOD];
            const I m = T::SIGNED8 ? V::mul_u8s8(V::abs8(v), V::sign8(b, v)) : V::mul_u8s8(v, b);
            p = kg % PERIOD == 0 ? m : V::add16(p, m);
            if (kg % PERIOD < PERIOD - 1) {
                keep(p);
            } else if constexpr (whole_scales<T>()) {
                total = V::scaled_add(total, p, factor[kg / GROUP_VECTORS]);
                keep(total);
            } else {
                a = V::widen_add(a, p);
                keep(a);
            }
        }
        scale_if_last(kg);
    }
    MOE_INLINE void put_s8(int kg, I v) { put(kg, s8_to_stored(v)); }
    // Weights of at most two bits; the products of four vectors are summed before their scale is applied, once.
    template <class V = Vec> MOE_INLINE void put_scaled(int kg, I v, I s) {
        static_assert(3 * 127 * 2 * SCALED <= 32767, "the sums before the scale fit 16 bits");
        ahead.step(kg);
        I & a = sum_at(kg);
        I & p = part[kg / SCALED * SCALED];
        if constexpr (V::DOT) {
            p = dot<V>(kg % SCALED == 0 ? V::zero() : p, kg, v);
        } else {
            const I b = V::bcast32(x + 4 * kg);
            const I m = V::mul_u8s8(v, b);
            p = kg % SCALED == 0 ? m : V::add16(p, m);
            keep(p);
        }
        if (kg % SCALED == SCALED - 1) { a = V::scaled_add(a, p, s); }
        scale_if_last(kg);
    }
    MOE_INLINE void put_scale(int g, F v) { scale[g] = ONE_ACT_SCALE ? v : Vec::mul(v, act_scale[g * T::GROUP / T::ACT_SCALE]); }
    template <int N, int Bias> MOE_INLINE void put_byte_scale(int g, I v) {
        if constexpr (whole_scales<T>()) {
            factor[g] = Vec::factor<N, Bias>(v);
        } else {
            put_scale(g, byte_scale<N, Bias>(v));
        }
    }
    template <class V = Vec> MOE_INLINE void put_whole_scale(int g, I v) {
        if constexpr (whole_scales<T>()) {
            factor[g] = V::to_factor(v);
        } else {
            put_scale(g, V::cvt(v));
        }
    }
    MOE_INLINE void put_block_scale(F d) { block_scale = d; }
    MOE_INLINE void put_min(int g, F v, F d) {
        mins      = Vec::fma(v, Vec::bcastf(sums + g), mins);
        min_scale = d;
    }

    // f, that of the constructor, plus the dot products of the block
    MOE_INLINE F finish(F f) const {
        const F sum = whole_scales<T>() ? Vec::cvt(total) : dots;
        F p = T::BLOCK_SCALE ? Vec::mul(sum, block_scale) : sum;
        if constexpr (T::MIN_STEP != 0) { p = Vec::fnma(min_scale, mins, p); }
        return ONE_ACT_SCALE ? Vec::fma(p, act_scale[0], f) : p;
    }

private:
    // sum + the products of the kg-th vector
    template <class V> MOE_INLINE I dot(I sum, int kg, I v) const {
        return V::dot(sum, v, V::acts(x + 4 * (kg - kg % V::DOT_STEPS)), kg % V::DOT_STEPS);
    }
    // The accumulator of the kg-th vector.
    MOE_INLINE I & sum_at(int kg) {
        constexpr int VECTORS = SPAN / 4;
        I & a = acc[kg / VECTORS];
        if (kg % GROUP_VECTORS == 0 && T::OFFSET != 0) {
            a = Vec::bcast32(init + kg / GROUP_VECTORS * 4);
        } else if (kg % VECTORS == 0) {
            a = Vec::zero();
        }
        return a;
    }
    MOE_INLINE void scale_if_last(int kg) {
        if (kg % GROUP_VECTORS != GROUP_VECTORS - 1) { return; }
        constexpr int PER = T::GROUP / SPAN;
        const int g = kg / GROUP_VECTORS;
        if constexpr (whole_scales<T>()) {
            if constexpr (Vec::DOT) { total = Vec::scaled_add(total, acc[g], factor[g]); }
            return;
        }
        I a = acc[g * PER];
        MOE_UNROLL
        for (int i = 1; i < PER; ++i) { a = Vec::add(a, acc[g * PER + i]); }
        dots = Vec::fma(Vec::cvt(a), scale[g], dots);
    }
};

template <class T> Ahead<T> tile_ahead(const TileArgs & a) {
    return Ahead<T>(a.next != nullptr ? a.next : a.w, a.stride * TILE_ROWS);
}

// One activation row: bound by memory, so nothing is stored on the way.
template <class T> void tile_quant_1(const TileArgs & a) {
    const uint8_t * row = a.x[0];
    Ahead<T> ahead = tile_ahead<T>(a);
    F f[TILE_VECS];
    for (int r = 0; r < TILE_VECS; ++r) { f[r] = Vec::zerof(); }
    for (int k0 = 0; k0 < a.layout.k; k0 += PANEL_COLS) {
        const int end = a.layout.k - k0 < PANEL_COLS ? a.layout.k : k0 + PANEL_COLS;
        for (int r = 0; r < TILE_VECS; ++r) {
            const uint8_t * w = a.w + size_t(r * L) * a.stride + size_t(k0 / T::COLS) * T::BYTES;
            for (int col = k0; col < end; col += T::COLS, w += T::BYTES, ahead.next_block()) {
                DirectSink<T> sink(f[r], row, a.layout, col, ahead);
                T::block(Rows(w, a.stride), sink);
                f[r] = sink.finish(f[r]);
            }
        }
    }
    for (int r = 0; r < TILE_VECS; ++r) { Vec::storef(a.acc + r * L, f[r]); }
}

// Unpacks a tile into panels with a Sink, and has mul(panels, first column, columns) add each one's products to a.acc.
template <class T, template <class> class Sink, class Mul> MOE_INLINE void each_panel(const TileArgs & a, Mul mul) {
    constexpr int BLOCKS = PANEL_COLS / T::COLS;   // blocks in a full panel
    constexpr int BYTES  = BLOCKS * T::BYTES;     // of one row
    Panel pn[TILE_VECS];
    TailRows<BYTES> tail;
    Ahead<T> ahead = tile_ahead<T>(a);
    memset(a.acc, 0, size_t(a.n) * TILE_ROWS * sizeof(float));
    for (int k0 = 0; k0 < a.layout.k; k0 += PANEL_COLS) {
        const int       cols   = a.layout.k - k0 < PANEL_COLS ? a.layout.k - k0 : PANEL_COLS;
        const int       blocks = cols / T::COLS;
        const uint8_t * w      = a.w + size_t(k0 / T::COLS) * T::BYTES;
        size_t          stride = a.stride;
        if (a.rows < TILE_ROWS) {
            tail.fill(w, stride, a.rows, size_t(blocks) * T::BYTES);
            w      = tail.data;
            stride = tail.STRIDE;
        }
        for (int r = 0; r < TILE_VECS; ++r) {
            for (int b = 0; b < blocks; ++b, ahead.next_block()) {
                Sink<T> sink{pn[r], b * (T::COLS / 4), ahead};
                T::block(Rows(w + size_t(r * L) * stride + size_t(b) * T::BYTES, stride), sink);
            }
        }
        mul(pn, k0, cols);
    }
}

template <class T> void tile_quant(const TileArgs & a) {
    if (a.n == 1 && a.rows == TILE_ROWS) { return tile_quant_1<T>(a); }
    each_panel<T, PanelSink>(a, [&](const Panel * pn, int k0, int cols) MOE_INLINED {
        int t = 0;
        for (; t + NT <= a.n; t += NT) {
            for (int r = 0; r < TILE_VECS; r += R) { panel_mul<T, NT>(pn + r, k0, cols, a.x + t, a.layout, a.acc + t * TILE_ROWS + r * L); }
        }
        for (int r = 0; r < TILE_VECS; r += R) {
            panel_rest<T, NT - 1>(pn + r, k0, cols, a.x + t, a.n - t, a.layout, a.acc + t * TILE_ROWS + r * L);
        }
    });
}

}  // namespace MOE_ISA
}  // namespace moe

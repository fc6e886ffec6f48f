// The tile product by SMMLA: eight columns of two weight rows times those of two activation rows per instruction, twice the
// products of SDOT. Include after gemm-inl.h.
#pragma once

#include "kernels.h"

namespace moe {
namespace MOE_ISA {

constexpr int PAIRS = 3;  // of activation rows per pass: with 2 R pairs of weight rows 12 sums and as many partial ones

// Stores what a trait unpacks so that vectors 2i and 2i + 1 of a panel have columns 8i to 8i + 7: of rows 0 and 1, and of rows 2
// and 3. (The first of two vectors comes before the second.) Scales lie as the sums do, each twice: those of rows 0 and 1 in
// `factor`, those of rows 2 and 3 in `scale`, whichever of a float and a factor they are.
template <class T> struct PairSink : PanelSink<T> {
    PairSink(Panel & p, int first, const Ahead<T> & a) : PanelSink<T>{p, first, a} {}
    MOE_INLINE void put(int kg, I v) {
        PanelSink<T>::put(kg, v);
        if (kg % 2 == 0) { return; }
        uint8_t (*q)[Vec::L * 4] = this->pn.q + this->kg0 + kg - 1;
        const I before = Vec::load(q[0]);
        Vec::store(q[0], Vec::zip_lo(before, v));
        Vec::store(q[1], Vec::zip_hi(before, v));
    }
    MOE_INLINE void put_s8(int kg, I v) { put(kg, v); }
    MOE_INLINE void put_scaled(int kg, I v, I s) { put(kg, Vec::scaled(v, s)); }
    MOE_INLINE void put_scale(int g, F v) { put_twice(g, Vec::as_int(v)); }
    template <int N, int Bias> MOE_INLINE void put_byte_scale(int g, I v) {
        put_twice(g, whole_scales<T>() ? Vec::factor<N, Bias>(v) : Vec::as_int(byte_scale<N, Bias>(v)));
    }
    MOE_INLINE void put_whole_scale(int g, I v) { put_twice(g, whole_scales<T>() ? v : Vec::as_int(Vec::cvt(v))); }

private:
    MOE_INLINE void put_twice(int g, I v) {
        const int at = this->kg0 / (T::GROUP / 4) + g;
        Vec::store(this->pn.factor[at], Vec::zip_lo(v, v));
        Vec::store(this->pn.scale[at], Vec::zip_hi(v, v));
    }
};

// Pairs of activation rows, as far as one panel needs them.
template <class T> struct ActPairs {
    alignas(64) uint8_t q[PAIRS][PANEL_COLS / 8][16];             // [pair][column / 8]: eight columns of the one, then of the other
    alignas(16) int32_t init[PAIRS][PANEL_COLS / T::GROUP][4];  // [pair][group]: what makes up for OFFSET: of the one and the other, twice
    alignas(16) float   d[PAIRS][PANEL_COLS / 32][4];            // [pair][column / 32]: scales (ACT_SCALE 32), likewise
    const uint8_t * x[2 * PAIRS];                                 // the rows; of an odd number the last twice

    // From n rows; returns the number of pairs.
    int fill(const uint8_t * const * rows, int n, const ActLayout & l, int k0, int cols) {
        const int pairs = (n + 1) / 2;
        for (int p = 0; p < pairs; ++p) {
            const uint8_t * a = x[2 * p] = rows[2 * p];
            const uint8_t * b = x[2 * p + 1] = rows[2 * p + 1 < n ? 2 * p + 1 : 2 * p];
            for (int k = 0; k < cols; k += 16) {
                const I va = Vec::load(a + k0 + k), vb = Vec::load(b + k0 + k);
                Vec::store(q[p][k / 8], Vec::low_halves(va, vb));
                Vec::store(q[p][k / 8 + 1], Vec::high_halves(va, vb));
            }
            if constexpr (T::ACT_SCALE == 32) {
                for (int i = 0; i < cols / 32; ++i) {
                    const int at = l.off_d + 4 * (k0 / 32 + i);
                    Vec::store(d[p][i], Vec::zip_lo(Vec::bcast32(a + at), Vec::bcast32(b + at)));
                }
            }
            if constexpr (T::OFFSET != 0) {
                for (int g = 0; g < cols / T::GROUP; ++g) {
                    const int at = l.off_init + 4 * (k0 / T::GROUP + g);
                    Vec::store(init[p][g], Vec::zip_lo(Vec::bcast32(a + at), Vec::bcast32(b + at)));
                }
            }
        }
        return pairs;
    }
};

// Sums of the products of pairs of rows: 2 R pairs of weight rows, P of activation rows.
template <int P> using PairSums = I[2 * R][P];

// a = the products of group g
template <class T, int P> MOE_INLINE void pairs_group(const Panel * pn, const ActPairs<T> & acts, int g, PairSums<P> & a) {
    each(a, [&](int, int p) MOE_INLINED { return T::OFFSET ? Vec::load(acts.init[p][g]) : Vec::zero(); });
    const int first = g * (T::GROUP / 8);
    constexpr int run = T::GROUP / 8 < 4 ? T::GROUP / 8 : 4;
    for (int s = 0; s < T::GROUP / 8; s += run) {
        times<run>([&](int u) MOE_INLINED {
            const int k8 = first + s + u;
            I b[P];
            times<P>([&](int p) MOE_INLINED { b[p] = Vec::load(acts.q[p][k8]); });
            times<2 * R>([&](int r) MOE_INLINED {
                const I w = Vec::load(pn[r / 2].q[2 * k8 + r % 2]);
                times<P>([&](int p) MOE_INLINED {
                    a[r][p] = Vec::pairs_dot(a[r][p], w, b[p]);
                    keep(a[r][p]);
                });
            });
        });
    }
}

// Scales of pair r of weight rows.
MOE_INLINE I pair_scales(const Panel * pn, int r, int g) {
    const Panel & panel = pn[r / 2];
    return r % 2 == 0 ? Vec::load(panel.factor[g]) : Vec::load(panel.scale[g]);
}

// acc[n][TILE_ROWS] += R panels (cols columns, first of them k0) * n activation rows, P pairs
template <class T, int P>
void pairs_mul(const Panel * pn, int k0, int cols, const ActPairs<T> & acts, int n, const ActLayout & l, float * acc) {
    F pair[2 * R][P];
    if constexpr (whole_scales<T>()) {
        PairSums<P> sum;
        each(sum, [](int, int) MOE_INLINED { return Vec::zero(); });
        for (int g = 0; g < cols / T::GROUP; ++g) {
            PairSums<P> a;
            pairs_group<T, P>(pn, acts, g, a);
            each(sum, [&](int r, int p) MOE_INLINED {
                I s = Vec::scaled_add(sum[r][p], a[r][p], pair_scales(pn, r, g));
                keep(s);
                return s;
            });
        }
        each(pair, [&](int r, int p) MOE_INLINED { return Vec::cvt(sum[r][p]); });
    } else {
        each(pair, [](int, int) MOE_INLINED { return Vec::zerof(); });
        for (int g = 0; g < cols / T::GROUP; ++g) {
            PairSums<P> a;
            pairs_group<T, P>(pn, acts, g, a);
            each(pair, [&](int r, int p) MOE_INLINED {
                const F ws = Vec::cast(pair_scales(pn, r, g));
                const F s  = T::ACT_SCALE == 256 ? ws : Vec::mul(ws, Vec::loadf(acts.d[p][g * T::GROUP / 32]));
                return Vec::fma(Vec::cvt(a[r][p]), s, pair[r][p]);
            });
        }
    }
    Floats<2 * P> f;
    each(f, [&](int r, int t) MOE_INLINED {
        const I first = Vec::as_int(pair[2 * r][t / 2]), second = Vec::as_int(pair[2 * r + 1][t / 2]);
        return Vec::cast(t % 2 == 0 ? Vec::evens(first, second) : Vec::odds(first, second));
    });
    add_blocks<T>(pn, k0, cols, acts.x, n, l, f, acc);
}

template <class T> void tile_i8mm(const TileArgs & a) {
    if (a.n == 1 && a.rows == TILE_ROWS) { return tile_quant_1<T>(a); }
    ActPairs<T> acts;
    each_panel<T, PairSink>(a, [&](const Panel * pn, int k0, int cols) MOE_INLINED {
        for (int t = 0; t < a.n; t += 2 * PAIRS) {
            const int n = a.n - t < 2 * PAIRS ? a.n - t : 2 * PAIRS;
            const int pairs = acts.fill(a.x + t, n, a.layout, k0, cols);
            for (int r = 0; r < TILE_VECS; r += R) {
                float * acc = a.acc + t * TILE_ROWS + r * L;
                if (pairs == 3) {
                    pairs_mul<T, 3>(pn + r, k0, cols, acts, n, a.layout, acc);
                } else if (pairs == 2) {
                    pairs_mul<T, 2>(pn + r, k0, cols, acts, n, a.layout, acc);
                } else {
                    pairs_mul<T, 1>(pn + r, k0, cols, acts, n, a.layout, acc);
                }
            }
        }
    });
}

inline void use_i8mm(KernelTable & t) {
    const auto set = [&](WType w, void (*tile)(const TileArgs &)) { t.types[static_cast<int>(w)].tile = tile; };
    set(WType::Q8_0, tile_i8mm<Q8_0>);
    set(WType::Q4_0, tile_i8mm<Q4_0>);
    set(WType::Q4_1, tile_i8mm<Q4_1>);
    set(WType::Q5_0, tile_i8mm<Q5_0>);
    set(WType::Q5_1, tile_i8mm<Q5_1>);
    set(WType::Q2_K, tile_i8mm<Q2_K>);
    set(WType::Q3_K, tile_i8mm<Q3_K>);
    set(WType::Q4_K, tile_i8mm<Q4_K>);
    set(WType::Q5_K, tile_i8mm<Q5_K>);
    set(WType::Q6_K, tile_i8mm<Q6_K>);
    set(WType::IQ4_NL, tile_i8mm<IQ4_NL>);
    set(WType::IQ4_XS, tile_i8mm<IQ4_XS>);
    set(WType::MXFP4, tile_i8mm<MXFP4>);
    set(WType::NVFP4, tile_i8mm<NVFP4>);
    set(WType::IQ1_S, tile_i8mm<IQ1_S>);
    set(WType::IQ1_M, tile_i8mm<IQ1_M>);
    set(WType::IQ2_XXS, tile_i8mm<IQ2_XXS>);
    set(WType::IQ2_XS, tile_i8mm<IQ2_XS>);
    set(WType::IQ2_S, tile_i8mm<IQ2_S>);
    set(WType::IQ3_XXS, tile_i8mm<IQ3_XXS>);
    set(WType::IQ3_S, tile_i8mm<IQ3_S>);
    set(WType::TQ1_0, tile_i8mm<TQ1_0>);
    set(WType::TQ2_0, tile_i8mm<TQ2_0>);
    set(WType::Q1_0, tile_i8mm<Q1_0>);
    set(WType::Q2_0, tile_i8mm<Q2_0>);
}

}  // namespace MOE_ISA
}  // namespace moe

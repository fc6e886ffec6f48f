// The tile product on AMX: 16 activation rows times 16 weight rows per instruction. Include after gemm-inl.h and tiles_amx.h.
//
// AMX adds up in tiles of its own, so that the sums of a group go through memory to get their scale.
#pragma once

#include "kernels.h"

namespace moe {
namespace MOE_ISA {

static_assert(L == 16, "the lanes of a vector are the columns of a tile");

constexpr int AMX_ROWS = 16;  // activation rows of a product, at most

// Stores weights as signed bytes, without the offset that unsigned ones need.
template <class T> struct SignedSink : PanelSink<T> {
    SignedSink(Panel & p, int first, const Ahead<T> & a) : PanelSink<T>{p, first, a} {}
    MOE_INLINE void put(int kg, I v) { PanelSink<T>::put(kg, T::OFFSET == 0 ? v : Vec::sub8(v, Vec::set8(T::OFFSET))); }
    MOE_INLINE void put_s8(int kg, I v) { PanelSink<T>::put(kg, v); }
};

// Up to 16 activation rows, as far as one panel needs them, at equal distances: tiles want that, and addresses become
// constants. Rows that are not there compute nothing that anyone reads.
template <class T> struct AmxRows {
    static constexpr int SCALES = PANEL_COLS, BLOCK_SUMS = SCALES + 64, BYTES = BLOCK_SUMS + 64;
    alignas(64) uint8_t row[AMX_ROWS][BYTES] = {};

    void fill(const uint8_t * const * x, int n, const ActLayout & l, int k0, int cols) {
        if (cols == PANEL_COLS) {
            for (int t = 0; t < n; ++t) { copy(t, x[t], l, k0, PANEL_COLS); }
        } else {
            for (int t = 0; t < n; ++t) { copy(t, x[t], l, k0, cols); }
        }
    }
    MOE_INLINE void copy(int t, const uint8_t * x, const ActLayout & l, int k0, int cols) {
        for (int i = 0; i < cols; i += 64) { Vec::store(row[t] + i, Vec::load(x + k0 + i)); }  // rows go on for whole lines
        memcpy(row[t] + SCALES, row_f32(x, l.off_d) + k0 / T::ACT_SCALE, size_t(cols / T::ACT_SCALE) * sizeof(float));
        if constexpr (T::MIN_STEP != 0) {
            memcpy(row[t] + BLOCK_SUMS, row_f32(x, l.off_sum) + k0 / T::MIN_STEP, size_t(cols / T::MIN_STEP) * sizeof(float));
        }
    }
    // Where add_blocks finds what: the panel's columns are all there are.
    static ActLayout layout() {
        ActLayout l;
        l.off_d   = SCALES;
        l.off_sum = BLOCK_SUMS;
        return l;
    }
};

using AmxSums = int32_t[AMX_ROWS][L];

// Products of panel p's group g. A tile has 64 bytes of a row at most.
template <class T> MOE_INLINE void amx_group(Tiles & tiles, const Panel & p, const AmxRows<T> & rows, int g, AmxSums & sums) {
    constexpr int BYTES = T::GROUP < 64 ? T::GROUP : 64;
    tiles.clear();
    for (int col = g * T::GROUP; col < (g + 1) * T::GROUP; col += BYTES) {
        tiles.multiply(rows.row[0] + col, AmxRows<T>::BYTES, p.q[col / 4]);
    }
    tiles.store(sums);
}

// acc[n][TILE_ROWS] += panel p (cols columns) * n activation rows; sums: scratch
template <class T>
void amx_mul(Tiles & tiles, const Panel & p, int cols, const AmxRows<T> & rows, int n, AmxSums (&sums)[2], float * acc) {
    const uint8_t * x[AMX_ROWS];
    times<AMX_ROWS>([&](int t) MOE_INLINED { x[t] = rows.row[t]; });
    F f[1][AMX_ROWS];
    I whole[1][AMX_ROWS];
    each(f, [](int, int) MOE_INLINED { return Vec::zerof(); });
    each(whole, [](int, int) MOE_INLINED { return Vec::zero(); });
    for (int g = 0; g < cols / T::GROUP; ++g) {
        AmxSums & s = sums[g % 2];
        amx_group<T>(tiles, p, rows, g, s);
        if constexpr (whole_scales<T>()) {
            const I factor = Vec::load(p.factor[g]);
            times<AMX_ROWS>([&](int t) MOE_INLINED {
                whole[0][t] = Vec::scaled_add(whole[0][t], Vec::load(s[t]), factor);
                keep(whole[0][t]);
            });
        } else {
            const F ws = Vec::loadf(p.scale[g]);
            times<AMX_ROWS>([&](int t) MOE_INLINED {
                const float * d = row_f32(x[t], AmxRows<T>::SCALES) + g * T::GROUP / 32;
                const F scale = T::ACT_SCALE == 256 ? ws : Vec::mul(ws, Vec::bcastf(d));
                f[0][t] = Vec::fma(Vec::cvt(Vec::load(s[t])), scale, f[0][t]);
                keep(f[0][t]);
            });
        }
    }
    if constexpr (whole_scales<T>()) {
        each(f, [&](int, int t) MOE_INLINED { return Vec::cvt(whole[0][t]); });
    }
    add_blocks<T>(&p, 0, cols, x, n, AmxRows<T>::layout(), f, acc);
}

// Whether n rows fill the products well enough: those of fewer than 16 rows take as long.
inline bool fills_amx(int n) {
    const int room = (n + AMX_ROWS - 1) / AMX_ROWS * AMX_ROWS;
    return n * 5 >= room * 4;
}

template <class T> void tile_amx(const TileArgs & a) {
    if (!fills_amx(a.n)) { return tile_quant<T>(a); }
    const int most = a.n < AMX_ROWS ? a.n : AMX_ROWS;
    Tiles tiles(most, T::GROUP < 64 ? T::GROUP : 64);
    AmxRows<T> rows;
    alignas(64) AmxSums sums[2] = {};  // in turn, so that one is written while the other is read
    each_panel<T, SignedSink>(a, [&](const Panel * pn, int k0, int cols) MOE_INLINED {
        for (int t0 = 0; t0 < a.n; t0 += most) {
            const int n = a.n - t0 < most ? a.n - t0 : most;
            rows.fill(a.x + t0, n, a.layout, k0, cols);
            float * out = a.acc + size_t(t0) * TILE_ROWS;
            for (int r = 0; r < R; ++r) { amx_mul<T>(tiles, pn[r], cols, rows, n, sums, out + r * L); }
        }
    });
}

// Types whose groups have 16 columns (Q3_K, Q6_K, NVFP4, IQ1_M, IQ2_XS, IQ2_S) stay with the vectors: twice the sums go through
// memory.
inline void use_amx(KernelTable & t) {
    const auto set = [&](WType w, void (*tile)(const TileArgs &)) { t.types[static_cast<int>(w)].tile = tile; };
    set(WType::Q8_0, tile_amx<Q8_0>);
    set(WType::Q4_0, tile_amx<Q4_0>);
    set(WType::Q4_1, tile_amx<Q4_1>);
    set(WType::Q5_0, tile_amx<Q5_0>);
    set(WType::Q5_1, tile_amx<Q5_1>);
    set(WType::Q2_K, tile_amx<Q2_K>);
    set(WType::Q4_K, tile_amx<Q4_K>);
    set(WType::Q5_K, tile_amx<Q5_K>);
    set(WType::IQ4_NL, tile_amx<IQ4_NL>);
    set(WType::IQ4_XS, tile_amx<IQ4_XS>);
    set(WType::MXFP4, tile_amx<MXFP4>);
    set(WType::IQ1_S, tile_amx<IQ1_S>);
    set(WType::IQ2_XXS, tile_amx<IQ2_XXS>);
    set(WType::IQ3_XXS, tile_amx<IQ3_XXS>);
    set(WType::IQ3_S, tile_amx<IQ3_S>);
    set(WType::TQ1_0, tile_amx<TQ1_0>);
    set(WType::TQ2_0, tile_amx<TQ2_0>);
    set(WType::Q1_0, tile_amx<Q1_0>);
    set(WType::Q2_0, tile_amx<Q2_0>);
}

}  // namespace MOE_ISA
}  // namespace moe

// Attention of a few query rows over a range of keys, a block of keys at a time, as in FlashAttention-2 (Dao, 2023):
// the scores of a block become weights against the largest score so far, and what was summed before shrinks when a
// larger one comes. Everything is in single precision. Include after float-inl.h and rows-inl.h.
#pragma once

#include "kernels.h"

namespace moe {
namespace MOE_ISA {

constexpr int kPanel = Vec::kGemmVecs * L;  // columns of one pass of the product below
// Up to here keys are multiplied as they lie, not turned into columns. AVX2, medians of ten to twelve pairs: one row 1.29
// times as fast as turned, two and three rows 1.07 and 1.09, from 4 to 24 no difference beyond the noise.
constexpr int kFewRows = 24;

static_assert(kAttentionRows % Vec::kGemmRows == 0 && kAttentionKeys % kPanel == 0 && attention_columns(1) % kPanel == 0, "whole blocks only");
static_assert(kAttentionKeys % kTileRows == 0, "whole tiles only");

// c[M][kPanel] = a[M][k] * b[k][kPanel], or is added to. Leading dimensions in floats.
template <bool Add, int M>
void gemm_block(int k, const float * a, size_t lda, const float * b, size_t ldb, float * c, size_t ldc) {
    constexpr int N = Vec::kGemmVecs;
    F s[M][N];  // in registers only while every loop over it is unrolled
    MOE_UNROLL
    for (int m = 0; m < M; ++m) {
        MOE_UNROLL
        for (int n = 0; n < N; ++n) { s[m][n] = Add ? Vec::loadf(c + size_t(m) * ldc + n * L) : Vec::zerof(); }
    }
    for (int i = 0; i < k; ++i, b += ldb) {
        F w[N];
        MOE_UNROLL
        for (int n = 0; n < N; ++n) { w[n] = Vec::loadf(b + n * L); }
        MOE_UNROLL
        for (int m = 0; m < M; ++m) {
            const F x = Vec::bcastf(a + size_t(m) * lda + i);
            MOE_UNROLL
            for (int n = 0; n < N; ++n) { s[m][n] = Vec::fma(x, w[n], s[m][n]); }
        }
    }
    MOE_UNROLL
    for (int m = 0; m < M; ++m) {
        MOE_UNROLL
        for (int n = 0; n < N; ++n) { Vec::storef(c + size_t(m) * ldc + n * L, s[m][n]); }
    }
}

// The same for m <= M rows.
template <bool Add, int M = Vec::kGemmRows>
void gemm_rows(int m, int k, const float * a, size_t lda, const float * b, size_t ldb, float * c, size_t ldc) {
    if constexpr (M > 1) {
        if (m < M) { return gemm_rows<Add, M - 1>(m, k, a, lda, b, ldb, c, ldc); }
    }
    gemm_block<Add, M>(k, a, lda, b, ldb, c, ldc);
}

// The rows of a product, in blocks of nearly equal size.
struct RowBlocks {
    int rows, count;
    explicit RowBlocks(const AttentionArgs & a) : rows(a.rows), count((a.rows + Vec::kGemmRows - 1) / Vec::kGemmRows) {}
    int first(int b) const { return rows * b / count; }
    int size(int b) const { return first(b + 1) - first(b); }
};

// Where the parts of a pass lie in its scratch.
struct AttentionScratch {
    int     dk, dv;  // columns of a key and of a value, rounded up to what is computed at once
    size_t  ld;      // of `rows`: not a power of two, which would put all rows of a panel into a few sets of the cache
    float * q;       // [kAttentionRows][dk], scaled
    float * keys;    // [kAttentionKeys / kPanel][dk][kPanel]: a block's keys turned into columns
    float * rows;    // [kAttentionKeys][ld]: a block's keys as they come, then its values
    float * s;       // [kAttentionRows][kAttentionKeys]: scores, then weights

    AttentionScratch(int n_dk, int n_dv, float * base) {
        dk   = padded(n_dk);
        dv   = static_cast<int>(attention_columns(n_dv));
        ld   = row_floats(n_dk, n_dv);
        q    = base;
        keys = q + size_t(kAttentionRows) * size_t(dk);
        rows = keys + size_t(kAttentionKeys) * size_t(dk);
        s    = rows + size_t(kAttentionKeys) * ld;
    }
    static size_t floats(int n_dk, int n_dv) {
        return size_t(kAttentionRows + kAttentionKeys) * size_t(padded(n_dk)) + kAttentionKeys * row_floats(n_dk, n_dv) +
               size_t(kAttentionRows) * kAttentionKeys;
    }

private:
    static int padded(int n_dk) { return (n_dk + 15) / 16 * 16; }
    static size_t row_floats(int n_dk, int n_dv) {
        const size_t k = size_t(padded(n_dk)), v = attention_columns(n_dv);
        return (k > v ? k : v) + 16;
    }
};

inline void half_to_float(const void * x, float * y, int64_t n) {
    const uint16_t * h = static_cast<const uint16_t *>(x);
    int64_t i = 0;
    for (; i + L <= n; i += L) { Vec::storef(y + i, Vec::load_half(h + i)); }
    if (i < n) {
        uint16_t rest[L] = {};
        float    f[L];
        memcpy(rest, h + i, size_t(n - i) * sizeof *h);
        Vec::storef(f, Vec::load_half(rest));
        memcpy(y + i, f, size_t(n - i) * sizeof *y);
    }
}

// Rows of keys or values from `first` on, at most a block; none past `last`.
struct RowBlock {
    const KvRows & r;
    int64_t first;
    int n;

    RowBlock(const KvRows & rows, int64_t from, int64_t last)
        : r(rows), first(from), n(static_cast<int>(last - from < kAttentionKeys ? last - from : kAttentionKeys)) {}
    const uint8_t * at(int i) const { return r.data + size_t(first + i) * r.stride; }
    void prefetch(int i) const {
        if (i >= n) { return; }
        for (size_t o = 0; o < r.bytes; o += 64) { Vec::prefetch(at(i) + o); }
    }
};

// out[kAttentionKeys][ld] = the rows of a block; zeros in columns up to `padded` and in rows past the last. With each
// row, the same one of the block that is wanted next is prefetched.
inline void fetch_rows(const RowBlock & block, const RowBlock & next, int padded, float * out, size_t ld) {
    for (int i = 0; i < kAttentionKeys; ++i, out += ld) {
        const int columns = i < block.n ? block.r.columns : 0;
        next.prefetch(i);
        if (columns > 0) { block.r.to_float(block.at(i), out, columns); }
        if (columns < padded) { memset(out + columns, 0, size_t(padded - columns) * sizeof *out); }
    }
}

// The masks of one block of keys: kAttentionKeys values for every query row.
constexpr uint16_t kHidden = 0xfc00;  // -infinity in half precision

struct BlockMask {
    const uint16_t * row[kAttentionRows];
    bool             shown[kAttentionRows / Vec::kGemmRows];  // if any row of a block of the product sees any key
    uint16_t         own[kAttentionRows][kAttentionKeys];     // copies, where the last block ends early or there is no mask

    // False if every row hides every key.
    bool fill(const AttentionArgs & a, int64_t first, int n) {
        const RowBlocks blocks(a);
        bool any = false, seen = false;
        for (int b = 0; b < blocks.count; ++b) {
            shown[b] = false;
            for (int r = blocks.first(b); r < blocks.first(b + 1); ++r) {
                const uint16_t * m = a.queries[r].mask;
                if (r > 0 && m == a.queries[r - 1].mask) {  // the heads of one token share theirs
                    row[r] = row[r - 1];
                } else {
                    row[r] = m != nullptr && n == kAttentionKeys ? m + first : copy(m, first, n, own[r]);
                    seen = visible(row[r]);
                }
                shown[b] = shown[b] || seen;
            }
            any = any || shown[b];
        }
        return any;
    }

private:
    static const uint16_t * copy(const uint16_t * m, int64_t first, int n, uint16_t * to) {
        for (int j = 0; j < kAttentionKeys; ++j) { to[j] = j >= n ? kHidden : m != nullptr ? m[first + j] : uint16_t(0); }
        return to;
    }
    static bool visible(const uint16_t * m) {
        unsigned seen = 0;
        for (int j = 0; j < kAttentionKeys; ++j) { seen |= unsigned(m[j] != kHidden); }
        return seen != 0;
    }
};

// e^x of numbers that are not positive, to 1 ulp or so; 0 below -87
inline F exp_of_negative(F x) {
    x = Vec::maxf(x, Vec::setf(-100.0f));
    const F t = Vec::fma(x, Vec::setf(1.44269504f), Vec::setf(12582912.0f));  // the nearest integer is in its low bits
    const F n = Vec::add(t, Vec::setf(-12582912.0f));
    const F r = Vec::fma(n, Vec::setf(2.12194440e-4f), Vec::fnma(n, Vec::setf(0.693359375f), x));
    F p = Vec::setf(1.9875691500e-4f);
    p = Vec::fma(p, r, Vec::setf(1.3981999507e-3f));
    p = Vec::fma(p, r, Vec::setf(8.3334519073e-3f));
    p = Vec::fma(p, r, Vec::setf(4.1665795894e-2f));
    p = Vec::fma(p, r, Vec::setf(1.6666665459e-1f));
    p = Vec::fma(p, r, Vec::setf(5.0000001201e-1f));
    p = Vec::fma(Vec::mul(p, r), r, Vec::add(r, Vec::setf(1.0f)));
    const I e = Vec::max(Vec::add(Vec::as_int(t), Vec::set32(127u - 0x4b400000u)), Vec::zero());
    return Vec::mul(p, Vec::cast(Vec::template sll<23>(e)));
}

inline float max_of(F v) {
    float lane[L];
    Vec::storef(lane, v);
    float max = lane[0];
    for (int i = 1; i < L; ++i) { max = lane[i] > max ? lane[i] : max; }
    return max;
}

// Scores of one row -> weights e^(score - max), zero where a key is hidden. When a larger score comes, what was summed
// before shrinks to it.
inline void weigh_row(const AttentionArgs & a, float slope, const uint16_t * mask, float * s, Seen & seen, float * sums) {
    if (a.softcap != 0.0f) {  // tanh(x) = 1 - 2 / (1 + e^2x)
        for (int j = 0; j < kAttentionKeys; ++j) { s[j] = a.softcap * (1.0f - 2.0f / (1.0f + exp_f32(2.0f * s[j]))); }
    }
    F high = Vec::setf(-INFINITY);
    for (int j = 0; j < kAttentionKeys; j += L) {
        const F x = Vec::fma(Vec::setf(slope), Vec::load_half(mask + j), Vec::loadf(s + j));
        Vec::storef(s + j, x);
        high = Vec::maxf(high, x);
    }
    const float max = max_of(high);
    if (max == -INFINITY) {
        memset(s, 0, kAttentionKeys * sizeof *s);
        return;
    }
    if (max > seen.max) {
        const float shrink = seen.sum > 0.0f ? exp_f32(seen.max - max) : 0.0f;
        for (int i = 0; i < a.v.columns; ++i) { sums[i] *= shrink; }
        seen.sum *= shrink;
        seen.max = max;
    }
    F sum = Vec::zerof();
    for (int j = 0; j < kAttentionKeys; j += L) {
        const F w = exp_of_negative(Vec::add(Vec::loadf(s + j), Vec::setf(-seen.max)));
        Vec::storef(s + j, w);
        sum = Vec::add(sum, w);
    }
    seen.sum += Vec::hsum(sum);
}

// keys[panel][column][key of the panel] = rows[key][column]
inline void turn_keys(const AttentionScratch & t) {
    for (int j = 0; j < kAttentionKeys; j += L) {
        const typename Vec::Rows rows(reinterpret_cast<const uint8_t *>(t.rows + size_t(j) * t.ld), t.ld * sizeof(float));
        float * out = t.keys + size_t(j / kPanel) * size_t(t.dk) * kPanel + j % kPanel;
        for (int d = 0; d < t.dk; d += 4) {
            I four[4];
            Vec::rows16(rows, d * int(sizeof(float)), four);
            for (int i = 0; i < 4; ++i) { Vec::store(out + size_t(d + i) * kPanel, four[i]); }
        }
    }
}

// s = q * keys^T for the blocks of rows that see any.
inline void score_many(const AttentionArgs & a, const AttentionScratch & t, const BlockMask & mask) {
    turn_keys(t);
    const RowBlocks blocks(a);
    for (int p = 0; p < kAttentionKeys / kPanel; ++p) {
        for (int b = 0; b < blocks.count; ++b) {
            if (!mask.shown[b]) { continue; }
            const size_t r = size_t(blocks.first(b));
            gemm_rows<false>(blocks.size(b), t.dk, t.q + r * size_t(t.dk), size_t(t.dk),
                             t.keys + size_t(p) * size_t(t.dk) * kPanel, kPanel,
                             t.s + r * kAttentionKeys + p * kPanel, kAttentionKeys);
        }
    }
}

// The same for up to kFewRows rows, of keys as they lie: as if they were rows of weights.
inline void score_few(const AttentionArgs & a, const AttentionScratch & t) {
    const uint8_t * x[kFewRows];
    float acc[kFewRows * kTileRows];
    for (int r = 0; r < a.rows; ++r) { x[r] = reinterpret_cast<const uint8_t *>(t.q + size_t(r) * size_t(t.dk)); }
    TileArgs tile;
    tile.stride   = t.ld * sizeof(float);
    tile.rows     = kTileRows;
    tile.n        = a.rows;
    tile.x        = x;
    tile.layout.k = t.dk;
    tile.acc      = acc;
    for (int j = 0; j < kAttentionKeys; j += kTileRows) {
        tile.w = reinterpret_cast<const uint8_t *>(t.rows + size_t(j) * t.ld);
        tile_float<WF32>(tile);
        for (int r = 0; r < a.rows; ++r) { memcpy(t.s + size_t(r) * kAttentionKeys + j, acc + r * kTileRows, kTileRows * sizeof *acc); }
    }
}

inline void weigh(const AttentionArgs & a, const AttentionScratch & t, const BlockMask & mask) {
    const RowBlocks blocks(a);
    for (int b = 0; b < blocks.count; ++b) {
        if (!mask.shown[b]) { continue; }
        for (int r = blocks.first(b); r < blocks.first(b + 1); ++r) {
            weigh_row(a, a.queries[r].slope, mask.row[r], t.s + size_t(r) * kAttentionKeys, a.seen[r], a.sums + size_t(r) * size_t(t.dv));
        }
    }
}

// sums += s * values
inline void add_values(const AttentionArgs & a, const AttentionScratch & t, const BlockMask & mask) {
    const RowBlocks blocks(a);
    for (int p = 0; p < t.dv; p += kPanel) {
        for (int b = 0; b < blocks.count; ++b) {
            if (!mask.shown[b]) { continue; }
            const size_t r = size_t(blocks.first(b));
            gemm_rows<true>(blocks.size(b), kAttentionKeys, t.s + r * kAttentionKeys, kAttentionKeys, t.rows + p, t.ld,
                            a.sums + r * size_t(t.dv) + p, size_t(t.dv));
        }
    }
}

inline void attention(const AttentionArgs & a) {
    const AttentionScratch t(a.k.columns, a.v.columns, a.scratch);
    const size_t dk = size_t(t.dk), dv = size_t(t.dv), rows = size_t(a.rows);
    memset(t.q, 0, rows * dk * sizeof(float));
    memset(a.sums, 0, rows * dv * sizeof(float));
    for (size_t r = 0; r < rows; ++r) {
        for (int i = 0; i < a.k.columns; ++i) { t.q[r * dk + size_t(i)] = a.queries[r].q[i] * a.scale; }
        a.seen[r] = {-INFINITY, 0.0f};
    }
    BlockMask mask;
    for (int64_t first = a.begin; first < a.end; first += kAttentionKeys) {
        const RowBlock keys(a.k, first, a.end), values(a.v, first, a.end), next(a.k, first + kAttentionKeys, a.end);
        if (!mask.fill(a, first, keys.n)) { continue; }
        fetch_rows(keys, values, t.dk, t.rows, t.ld);
        if (a.rows > kFewRows) {
            score_many(a, t, mask);
        } else {
            score_few(a, t);
        }
        weigh(a, t, mask);
        fetch_rows(values, next, t.dv, t.rows, t.ld);
        add_values(a, t, mask);
    }
}

}  // namespace MOE_ISA
}  // namespace moe

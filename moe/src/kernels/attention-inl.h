// Attention of a few query rows over all keys, a block of keys at a time, as in FlashAttention-2 (Dao, 2023): the
// scores of a block become weights against the largest score so far, and what was summed before shrinks when a larger
// one comes. Everything is in single precision. Include after rows-inl.h.
#pragma once

#include "kernels.h"

namespace moe {
namespace MOE_ISA {

constexpr int kPanel = Vec::kGemmVecs * L;  // columns of one pass of the product below

static_assert(kAttentionRows % Vec::kGemmRows == 0 && kAttentionKeys % kPanel == 0, "whole blocks only");

// c[kGemmRows][kPanel] = a[kGemmRows][k] * b[k][kPanel], or is added to. Leading dimensions in floats.
template <bool Add>
void gemm_block(int k, const float * a, size_t lda, const float * b, size_t ldb, float * c, size_t ldc) {
    constexpr int M = Vec::kGemmRows, N = Vec::kGemmVecs;
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

// Where the parts of a pass lie in its scratch.
struct AttentionScratch {
    int     dk, dv;  // columns of a key and of a value, rounded up to what is computed at once
    size_t  ld;      // of `rows`: not a power of two, which would put all rows of a panel into a few sets of the cache
    float * q;       // [kAttentionRows][dk], scaled
    float * keys;    // [kAttentionKeys / kPanel][dk][kPanel]
    float * rows;    // [kAttentionKeys][ld]: a block's keys before they are turned, then its values
    float * s;       // [kAttentionRows][kAttentionKeys]: scores, then weights
    float * out;     // [kAttentionRows][dv]: sums of weighted values

    AttentionScratch(int n_dk, int n_dv, float * base) {
        dk   = (n_dk + 3) / 4 * 4;
        dv   = (n_dv + kPanel - 1) / kPanel * kPanel;
        ld   = size_t(dk > dv ? dk : dv) + 16;
        q    = base;
        keys = q + size_t(kAttentionRows) * dk;
        rows = keys + size_t(kAttentionKeys) * dk;
        s    = rows + size_t(kAttentionKeys) * ld;
        out  = s + size_t(kAttentionRows) * kAttentionKeys;
    }
    static size_t floats(int n_dk, int n_dv) {
        const size_t k = size_t(n_dk) + 4, v = size_t(n_dv) + kPanel;  // the most they are rounded up to
        return (kAttentionRows + kAttentionKeys) * k + kAttentionKeys * (k + v + 16) + kAttentionRows * (kAttentionKeys + v);
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

// out[kAttentionKeys][ld] = rows first.. of r; zeros in columns up to `padded` and in rows from n on
inline void fetch_rows(const KvRows & r, int64_t first, int n, int padded, float * out, size_t ld) {
    for (int i = 0; i < kAttentionKeys; ++i, out += ld) {
        const int columns = i < n ? r.columns : 0;
        if (columns > 0) { r.to_float(r.data + size_t(first + i) * r.stride, out, columns); }
        memset(out + columns, 0, size_t(padded - columns) * sizeof *out);
    }
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

// What a row has seen so far: its largest score, and the sum of its weights against that.
struct RowState { float max, sum; };

// Scores of one row -> weights e^(score - max), zero where a key is hidden. When a larger score comes, what was summed
// before (`out` too) shrinks to it.
inline void weigh_row(const AttentionArgs & a, float slope, const uint16_t * mask, float * s, RowState & row, float * out, int dv) {
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
    if (max > row.max) {
        const float shrink = row.sum > 0.0f ? exp_f32(row.max - max) : 0.0f;
        for (int i = 0; i < dv; ++i) { out[i] *= shrink; }
        row.sum *= shrink;
        row.max = max;
    }
    F sum = Vec::zerof();
    for (int j = 0; j < kAttentionKeys; j += L) {
        const F w = exp_of_negative(Vec::add(Vec::loadf(s + j), Vec::setf(-row.max)));
        Vec::storef(s + j, w);
        sum = Vec::add(sum, w);
    }
    row.sum += Vec::hsum(sum);
}

// The masks of one block of keys: one row of kAttentionKeys values per query row.
constexpr uint16_t kHidden = 0xfc00;  // -infinity in half precision

struct BlockMask {
    const uint16_t * row[kAttentionRows];
    bool             shown[kAttentionRows / Vec::kGemmRows];   // if any row of a block of the product sees any key
    uint16_t         own[kAttentionRows][kAttentionKeys];      // copies, where the last block ends early or there is no mask

    // False if every row hides every key.
    bool fill(const AttentionArgs & a, int64_t first, int n) {
        bool any = false, seen = false;
        memset(shown, 0, sizeof shown);
        for (int r = 0; r < a.rows; ++r) {
            const uint16_t * m = a.queries[r].mask;
            if (r > 0 && m == a.queries[r - 1].mask) {  // the heads of one token share theirs
                row[r] = row[r - 1];
            } else {
                row[r] = m != nullptr && n == kAttentionKeys ? m + first : copy(m, first, n, own[r]);
                seen = visible(row[r]);
            }
            shown[r / Vec::kGemmRows] |= seen;
            any = any || seen;
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

// Blocks of rows, the last one filled up with zeros.
inline int row_blocks(const AttentionArgs & a) { return (a.rows + Vec::kGemmRows - 1) / Vec::kGemmRows; }

// Prefetches the rows of a block while something else is computed: a few with every call of `step`.
struct RowsAhead {
    const uint8_t * row = nullptr;
    const uint8_t * end = nullptr;
    size_t stride = 0, bytes = 0;
    int    per_step = 0;

    // `steps`: how many calls there will be. Past the last position nothing is prefetched.
    RowsAhead(const KvRows & r, int64_t first, int64_t n_keys, int steps) {
        const int64_t n = n_keys - first < kAttentionKeys ? n_keys - first : kAttentionKeys;
        if (n <= 0) { return; }
        row      = r.data + size_t(first) * r.stride;
        end      = row + size_t(n) * r.stride;
        stride   = r.stride;
        bytes    = r.bytes;
        per_step = (kAttentionKeys + steps - 1) / steps;
    }
    void step() {
        for (int i = 0; i < per_step && row < end; ++i, row += stride) {
            for (size_t o = 0; o < bytes; o += 64) { Vec::prefetch(row + o); }
        }
    }
};

// s = q * keys^T for the blocks of rows that see any; the values are fetched meanwhile.
inline void score_block(const AttentionArgs & a, const AttentionScratch & t, const BlockMask & mask, int64_t first) {
    RowsAhead values(a.v, first, a.n_keys, kAttentionKeys / kPanel * row_blocks(a));
    for (int p = 0; p < kAttentionKeys / kPanel; ++p) {
        for (int b = 0; b < row_blocks(a); ++b) {
            values.step();
            if (!mask.shown[b]) { continue; }
            const size_t r = size_t(b) * Vec::kGemmRows;
            gemm_block<false>(t.dk, t.q + r * size_t(t.dk), size_t(t.dk), t.keys + size_t(p) * size_t(t.dk) * kPanel, kPanel,
                              t.s + r * kAttentionKeys + p * kPanel, kAttentionKeys);
        }
    }
}

// out += s * values; the next block's keys are fetched meanwhile.
inline void sum_block(const AttentionArgs & a, const AttentionScratch & t, const BlockMask & mask, int64_t first) {
    RowsAhead keys(a.k, first + kAttentionKeys, a.n_keys, t.dv / kPanel * row_blocks(a));
    for (int p = 0; p < t.dv; p += kPanel) {
        for (int b = 0; b < row_blocks(a); ++b) {
            keys.step();
            if (!mask.shown[b]) { continue; }
            const size_t r = size_t(b) * Vec::kGemmRows;
            gemm_block<true>(kAttentionKeys, t.s + r * kAttentionKeys, kAttentionKeys, t.rows + p, t.ld,
                             t.out + r * size_t(t.dv) + p, size_t(t.dv));
        }
    }
}

// A sink is a key that only takes weight: it has a score and no value.
inline void finish_row(const AttentionArgs & a, const AttentionArgs::Query & q, RowState row, const float * out) {
    float factor = 1.0f;
    if (q.sink != nullptr) {
        const float max = *q.sink > row.max ? *q.sink : row.max;
        factor  = row.sum > 0.0f ? exp_f32(row.max - max) : 0.0f;
        row.sum = row.sum * factor + exp_f32(*q.sink - max);
    }
    factor = row.sum > 0.0f ? factor / row.sum : 0.0f;
    for (int i = 0; i < a.v.columns; ++i) { q.out[i] = out[i] * factor; }
}

inline void attention(const AttentionArgs & a) {
    const AttentionScratch t(a.k.columns, a.v.columns, a.scratch);
    const size_t dk = size_t(t.dk), dv = size_t(t.dv), rows = size_t(row_blocks(a)) * Vec::kGemmRows;
    memset(t.q, 0, rows * dk * sizeof(float));
    memset(t.out, 0, rows * dv * sizeof(float));
    memset(t.s, 0, rows * kAttentionKeys * sizeof(float));
    RowState state[kAttentionRows];
    for (size_t r = 0; r < size_t(a.rows); ++r) {
        for (int i = 0; i < a.k.columns; ++i) { t.q[r * dk + size_t(i)] = a.queries[r].q[i] * a.scale; }
        state[r] = {-INFINITY, 0.0f};
    }
    BlockMask mask;
    for (int64_t first = 0; first < a.n_keys; first += kAttentionKeys) {
        const int n = static_cast<int>(a.n_keys - first < kAttentionKeys ? a.n_keys - first : kAttentionKeys);
        if (!mask.fill(a, first, n)) { continue; }
        fetch_rows(a.k, first, n, t.dk, t.rows, t.ld);
        turn_keys(t);
        score_block(a, t, mask, first);
        for (int r = 0; r < a.rows; ++r) {
            if (!mask.shown[r / Vec::kGemmRows]) { continue; }
            weigh_row(a, a.queries[r].slope, mask.row[r], t.s + size_t(r) * kAttentionKeys, state[r], t.out + size_t(r) * dv, t.dv);
        }
        fetch_rows(a.v, first, n, t.dv, t.rows, t.ld);
        sum_block(a, t, mask, first);
    }
    for (int r = 0; r < a.rows; ++r) { finish_row(a, a.queries[r], state[r], t.out + size_t(r) * dv); }
}

}  // namespace MOE_ISA
}  // namespace moe

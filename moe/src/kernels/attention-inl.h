// Attention of a few query rows over a range of keys, a block of keys at a time, as in FlashAttention-2 (Dao, 2023):
// the scores of a block become weights against the largest score so far, and what was summed before shrinks when a
// larger one comes. Everything is in single precision. Include after float-inl.h and rows-inl.h.
#pragma once

#include "kernels.h"

namespace moe {
namespace MOE_ISA {

constexpr int PANEL = Vec::GEMM_VECS * L;  // columns of one pass of the product below
// Query rows of one head up to which keys are multiplied as they lie, not turned into columns. AVX2, F16, blocks of 64
// keys, medians of ten or twelve alternations: 8 rows 1.5 times as fast as turned, 16 rows 1.25, 144 rows 0.75; of 24 and
// 48 rows two series disagree (0.8 to 1.3).
constexpr int FEW_ROWS = 24;

static_assert(ATTENTION_ROWS % Vec::GEMM_ROWS == 0 && ATTENTION_KEYS % PANEL == 0 && attention_columns(1) % PANEL == 0, "whole blocks only");
static_assert(ATTENTION_KEYS % DOT_ROWS == 0 && DOT_ROWS <= TILE_ROWS, "whole groups of keys only");

// c[M][N vectors] = a[M][k] * b[k][N vectors], or is added to. W: what b holds. Leading dimensions in floats, that of b in bytes.
// Not inlined: between its caller's values GCC 12 keeps one of twelve sums in memory, and the loop waits for it.
template <bool Add, class W, int M, int N>
__attribute__((noinline)) void gemm_block(int k, const float * a, size_t lda, const uint8_t * b, size_t ldb, float * c, size_t ldc) {
    F s[M][N];  // in registers only while every loop over it is unrolled
    MOE_UNROLL
    for (int m = 0; m < M; ++m) {
        MOE_UNROLL
        for (int n = 0; n < N; ++n) { s[m][n] = Add ? Vec::loadf(c + size_t(m) * ldc + n * L) : Vec::zerof(); }
    }
    for (int i = 0; i < k; ++i, b += ldb) {
        F w[N];
        MOE_UNROLL
        for (int n = 0; n < N; ++n) { w[n] = W::load(b + n * L * W::BYTES); }
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
template <bool Add, class W, int M = Vec::GEMM_ROWS, int N = Vec::GEMM_VECS>
void gemm_rows(int m, int k, const float * a, size_t lda, const uint8_t * b, size_t ldb, float * c, size_t ldc) {
    if constexpr (M > 1) {
        if (m < M) { return gemm_rows<Add, W, M - 1, N>(m, k, a, lda, b, ldb, c, ldc); }
    }
    gemm_block<Add, W, M, N>(k, a, lda, b, ldb, c, ldc);
}

// The query rows of one KV head, in blocks of nearly equal size for the products.
struct RowBlocks {
    int rows, count, head;
    RowBlocks(const AttentionArgs & a, int h) : rows(a.rows), count((a.rows + Vec::GEMM_ROWS - 1) / Vec::GEMM_ROWS), head(h) {}
    int first(int b) const { return rows * head + rows * b / count; }  // among the rows of all heads
    int size(int b) const { return first(b + 1) - first(b); }
    int index(int b) const { return head * count + b; }  // among the blocks of all heads
};

// Where the parts of a pass lie in its scratch.
struct AttentionScratch {
    int     dk, dv;  // columns of a key and of a value, rounded up to what is computed at once
    size_t  ld;      // of `rows`: not a power of two, which would put all rows of a panel into a few sets of the cache
    float * q;       // [ATTENTION_ROWS][dk], scaled
    float * keys;    // [ATTENTION_KEYS / PANEL][dk][PANEL]: a block's keys turned into columns
    float * rows;    // [ATTENTION_KEYS][ld]: a block's keys as they come, then its values
    float * s;       // [ATTENTION_ROWS][ATTENTION_KEYS]: scores, then weights

    AttentionScratch(int n_dk, int n_dv, float * base) {
        dk   = padded(n_dk);
        dv   = static_cast<int>(attention_columns(n_dv));
        ld   = row_floats(n_dk, n_dv);
        q    = base;
        keys = q + size_t(ATTENTION_ROWS) * size_t(dk);
        rows = keys + size_t(ATTENTION_KEYS) * size_t(dk);
        s    = rows + size_t(ATTENTION_KEYS) * ld;
    }
    static size_t floats(int n_dk, int n_dv) {
        return size_t(ATTENTION_ROWS + ATTENTION_KEYS) * size_t(padded(n_dk)) + ATTENTION_KEYS * row_floats(n_dk, n_dv) +
               size_t(ATTENTION_ROWS) * ATTENTION_KEYS;
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

inline const uint8_t * bytes_of(const float * x) { return reinterpret_cast<const uint8_t *>(x); }

// One block of keys or values of one head as the products read them: floats in scratch, or half-precision numbers as
// they lie in the cache.
struct Held {
    const uint8_t * data;
    size_t stride;
    int n;
};

// Keys or values of all heads from position `first` on, at most a block; none past `last`, which may come before it (n is
// negative then, and no loop runs).
struct RowBlock {
    const KvRows & r;
    int64_t first;
    int n;

    RowBlock(const KvRows & rows, int64_t from, int64_t last)
        : r(rows), first(from), n(static_cast<int>(last - from < ATTENTION_KEYS ? last - from : ATTENTION_KEYS)) {}
    const uint8_t * at(int head, int i) const { return r.data + size_t(first + i) * r.stride + size_t(head) * r.head_stride; }
    Held held(int head) const { return {at(head, 0), r.stride, n}; }
};

// Prefetches a block while another one is computed, in address order: the heads of a position lie side by side.
struct BlockAhead {
    const RowBlock & block;
    int heads, lines, done = 0;  // lines of a row of all heads

    BlockAhead(const RowBlock & b, int n_heads) : block(b), heads(n_heads), lines(static_cast<int>((size_t(n_heads - 1) * b.r.head_stride + b.r.bytes + 63) / 64)) {}
    // `step` of as many steps as there are heads times positions in a whole block is over.
    void at_step(int step) {
        const int end = static_cast<int>(int64_t(block.n) * lines * step / (heads * ATTENTION_KEYS));
        for (; done < end; ++done) { Vec::prefetch(block.at(0, done / lines) + size_t(done % lines) * 64); }
    }
};

// out[ATTENTION_KEYS][ld] = the rows of one head; zeros in columns up to `padded` and in rows past the last.
inline Held fetch_rows(const RowBlock & block, int head, BlockAhead & next, int padded, float * to, size_t ld) {
    const ToFloat to_float = block.r.to_float != nullptr ? block.r.to_float : half_to_float;
    float * out = to;
    for (int i = 0; i < ATTENTION_KEYS; ++i, out += ld) {
        const int columns = i < block.n ? block.r.columns : 0;
        next.at_step(head * ATTENTION_KEYS + i + 1);
        if (columns > 0) { to_float(block.at(head, i), out, columns); }
        if (columns < padded) { memset(out + columns, 0, size_t(padded - columns) * sizeof *out); }
    }
    return {bytes_of(to), ld * sizeof *to, block.n};
}

// The masks of one block of keys: ATTENTION_KEYS values for every query row.
constexpr uint16_t HIDDEN = 0xfc00;  // -infinity in half precision

struct BlockMask {
    const uint16_t * row[ATTENTION_ROWS];
    bool             shown[ATTENTION_ROWS];                // if any row of a block of the product sees any key
    uint16_t         own[ATTENTION_ROWS][ATTENTION_KEYS];  // copies, where the last block ends early or there is no mask

    // False if every row hides every key.
    bool fill(const AttentionArgs & a, int64_t first, int n) {
        bool any = false, seen = false;
        for (int h = 0; h < a.heads; ++h) {
            const RowBlocks blocks(a, h);
            for (int b = 0; b < blocks.count; ++b) {
                bool & show = shown[blocks.index(b)] = false;
                for (int r = blocks.first(b); r < blocks.first(b + 1); ++r) {
                    const uint16_t * m = a.queries[r].mask;
                    if (r > 0 && m == a.queries[r - 1].mask) {  // the heads of one token share theirs
                        row[r] = row[r - 1];
                    } else {
                        row[r] = m != nullptr && n == ATTENTION_KEYS ? m + first : copy(m, first, n, own[r]);
                        seen = visible(row[r]);
                    }
                    show = show || seen;
                }
                any = any || show;
            }
        }
        return any;
    }

private:
    static const uint16_t * copy(const uint16_t * m, int64_t first, int n, uint16_t * to) {
        for (int j = 0; j < ATTENTION_KEYS; ++j) { to[j] = j >= n ? HIDDEN : m != nullptr ? m[first + j] : uint16_t(0); }
        return to;
    }
    static bool visible(const uint16_t * m) {
        unsigned seen = 0;
        for (int j = 0; j < ATTENTION_KEYS; ++j) { seen |= unsigned(m[j] != HIDDEN); }
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
        for (int j = 0; j < ATTENTION_KEYS; ++j) { s[j] = a.softcap * (1.0f - 2.0f / (1.0f + exp_f32(2.0f * s[j]))); }
    }
    F high = Vec::setf(-INFINITY);
    for (int j = 0; j < ATTENTION_KEYS; j += L) {
        const F x = Vec::fma(Vec::setf(slope), Vec::load_half(mask + j), Vec::loadf(s + j));
        Vec::storef(s + j, x);
        high = Vec::maxf(high, x);
    }
    const float max = max_of(high);
    if (max == -INFINITY) {
        memset(s, 0, ATTENTION_KEYS * sizeof *s);
        return;
    }
    if (max > seen.max) {
        const float shrink = seen.sum > 0.0f ? exp_f32(seen.max - max) : 0.0f;
        for (int i = 0; i < a.v.columns; ++i) { sums[i] *= shrink; }
        seen.sum *= shrink;
        seen.max = max;
    }
    F sum = Vec::zerof();
    for (int j = 0; j < ATTENTION_KEYS; j += L) {
        const F w = exp_of_negative(Vec::add(Vec::loadf(s + j), Vec::setf(-seen.max)));
        Vec::storef(s + j, w);
        sum = Vec::add(sum, w);
    }
    seen.sum += Vec::hsum(sum);
}

// keys[panel][column][key of the panel] = rows[key][column]
inline void turn_keys(const AttentionScratch & t) {
    for (int j = 0; j < ATTENTION_KEYS; j += L) {
        const typename Vec::Rows rows(reinterpret_cast<const uint8_t *>(t.rows + size_t(j) * t.ld), t.ld * sizeof(float));
        float * out = t.keys + size_t(j / PANEL) * size_t(t.dk) * PANEL + j % PANEL;
        for (int d = 0; d < t.dk; d += 4) {
            I four[4];
            Vec::rows16(rows, d * int(sizeof(float)), four);
            for (const I & column : four) {
                Vec::store(out, column);
                out += PANEL;
            }
        }
    }
}

// s = q * keys^T for the blocks of rows that see any; keys in scratch.
inline void score_many(const AttentionArgs & a, const AttentionScratch & t, const BlockMask & mask, int head) {
    turn_keys(t);
    const RowBlocks blocks(a, head);
    for (int p = 0; p < ATTENTION_KEYS / PANEL; ++p) {
        for (int b = 0; b < blocks.count; ++b) {
            if (!mask.shown[blocks.index(b)]) { continue; }
            const size_t r = size_t(blocks.first(b));
            gemm_rows<false, WF32>(blocks.size(b), t.dk, t.q + r * size_t(t.dk), size_t(t.dk),
                                   bytes_of(t.keys + size_t(p) * size_t(t.dk) * PANEL), PANEL * sizeof(float),
                                   t.s + r * ATTENTION_KEYS + p * PANEL, ATTENTION_KEYS);
        }
    }
}

// The same for up to FEW_ROWS rows, of keys as they lie: as if they were rows of weights.
template <class W> void score_few(const AttentionArgs & a, const AttentionScratch & t, int head, const Held & keys, BlockAhead * next) {
    const uint8_t * x[FEW_ROWS];
    float acc[FEW_ROWS * TILE_ROWS] = {};
    float * s = t.s + size_t(a.rows * head) * ATTENTION_KEYS;
    for (int r = 0; r < a.rows; ++r) { x[r] = bytes_of(t.q + size_t(a.rows * head + r) * size_t(t.dk)); }
    TileArgs tile;
    tile.stride   = keys.stride;
    tile.n        = a.rows;
    tile.x        = x;
    tile.layout.k = a.k.columns;
    tile.acc      = acc;
    for (int j = 0; j < ATTENTION_KEYS; j += DOT_ROWS) {  // few at a time, so that prefetches come evenly
        const int rest = keys.n - j;
        tile.w    = keys.data + size_t(j) * keys.stride;
        tile.rows = rest < 0 ? 0 : rest < DOT_ROWS ? rest : DOT_ROWS;  // what is left of the scores of others is hidden by the mask
        if (next != nullptr) { next->at_step(head * ATTENTION_KEYS + j + DOT_ROWS); }
        tile_float<W>(tile);
        for (int r = 0; r < a.rows; ++r) { memcpy(s + size_t(r) * ATTENTION_KEYS + j, acc + r * TILE_ROWS, DOT_ROWS * sizeof *acc); }
    }
}

inline void weigh(const AttentionArgs & a, const AttentionScratch & t, const BlockMask & mask, int head) {
    const RowBlocks blocks(a, head);
    for (int b = 0; b < blocks.count; ++b) {
        if (!mask.shown[blocks.index(b)]) { continue; }
        for (int r = blocks.first(b); r < blocks.first(b + 1); ++r) {
            weigh_row(a, a.queries[r].slope, mask.row[r], t.s + size_t(r) * ATTENTION_KEYS, a.seen[r], a.sums + size_t(r) * size_t(t.dv));
        }
    }
}

// sums += s * values, blocks of at most M rows and N vectors of columns at a time. W: what holds the values.
template <class W, int M, int N>
void add_panels(const AttentionArgs & a, const AttentionScratch & t, const BlockMask & mask, int head, const Held & values, BlockAhead * next) {
    const RowBlocks blocks(a, head);
    const int panels = (a.v.columns + N * L - 1) / (N * L);
    for (int p = 0; p < panels; ++p) {
        for (int b = 0; b < blocks.count; ++b) {
            if (next != nullptr) { next->at_step(head * ATTENTION_KEYS + ATTENTION_KEYS * (p * blocks.count + b + 1) / (panels * blocks.count)); }
            if (!mask.shown[blocks.index(b)]) { continue; }
            const size_t r = size_t(blocks.first(b));
            gemm_rows<true, W, M, N>(blocks.size(b), values.n, t.s + r * ATTENTION_KEYS, ATTENTION_KEYS,
                                     values.data + size_t(p) * N * L * W::BYTES, values.stride, a.sums + r * size_t(t.dv) + p * N * L, size_t(t.dv));
        }
    }
}

// One or two rows are not enough sums to keep the multipliers busy: theirs take more columns at a time.
template <class W>
void add_values(const AttentionArgs & a, const AttentionScratch & t, const BlockMask & mask, int head, const Held & values, BlockAhead * next) {
    constexpr int N = Vec::GEMM_VECS;
    if (a.rows == 1 && a.v.columns % (4 * PANEL) == 0) {
        add_panels<W, 1, 4 * N>(a, t, mask, head, values, next);
    } else if (a.rows <= 2 && a.v.columns % (2 * PANEL) == 0) {
        add_panels<W, 2, 2 * N>(a, t, mask, head, values, next);
    } else {
        add_panels<W, Vec::GEMM_ROWS, N>(a, t, mask, head, values, next);
    }
}

inline void attention(const AttentionArgs & a) {
    const AttentionScratch t(a.k.columns, a.v.columns, a.scratch);
    const size_t dk = size_t(t.dk), dv = size_t(t.dv), rows = size_t(a.rows) * size_t(a.heads);
    memset(t.q, 0, rows * dk * sizeof(float));
    memset(a.sums, 0, rows * dv * sizeof(float));
    for (size_t r = 0; r < rows; ++r) {
        for (int i = 0; i < a.k.columns; ++i) { t.q[r * dk + size_t(i)] = a.queries[r].q[i] * a.scale; }
        a.seen[r] = {-INFINITY, 0.0f};
    }
    const bool few = a.rows <= FEW_ROWS, keys_lie = few && a.k.to_float == nullptr;
    const bool values_lie = few && a.v.to_float == nullptr && a.v.columns % PANEL == 0;
    BlockMask mask;
    for (int64_t first = a.begin; first < a.end; first += ATTENTION_KEYS) {
        const RowBlock keys(a.k, first, a.end), values(a.v, first, a.end), next(a.k, first + ATTENTION_KEYS, a.end);
        if (!mask.fill(a, first, keys.n)) { continue; }
        BlockAhead to_values(values, a.heads), to_next(next, a.heads);
        for (int h = 0; h < a.heads; ++h) {
            if (keys_lie) {
                score_few<WF16>(a, t, h, keys.held(h), &to_values);
            } else {
                const Held held = fetch_rows(keys, h, to_values, t.dk, t.rows, t.ld);
                few ? score_few<WF32>(a, t, h, held, nullptr) : score_many(a, t, mask, h);
            }
            weigh(a, t, mask, h);
        }
        for (int h = 0; h < a.heads; ++h) {
            if (values_lie) {
                add_values<WF16>(a, t, mask, h, values.held(h), &to_next);
            } else {
                add_values<WF32>(a, t, mask, h, fetch_rows(values, h, to_next, t.dv, t.rows, t.ld), nullptr);
            }
        }
    }
}

}  // namespace MOE_ISA
}  // namespace moe

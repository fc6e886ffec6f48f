// The attention kernel of every instruction set against double precision: blocks of rows and keys that do not come out
// even, masks of several tokens, caches of either layout, and memory that ends where the last key does.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>

#include "harness.h"
#include "kernel_tables.h"

using moe::AttentionArgs;
using moe::KernelTable;

namespace {

constexpr double INF = std::numeric_limits<double>::infinity();
constexpr uint16_t HIDDEN = 0xfc00;

size_t us(int64_t n) {
    return static_cast<size_t>(n);
}

void copy_floats(const void * x, float * y, int64_t n) {
    std::memcpy(y, x, us(n) * sizeof(float));
}

enum class Masks { None, Own, Shared, AllHidden };

struct Shape {
    int rows = 1, heads = 1, keys = 64, k_columns = 64, v_columns = 64;
    int begin = 0;
    bool k_half = true, v_half = true;  // half precision as it lies; else single precision by a function
    Masks masks = Masks::Own;
    float slope = 1.0f, softcap = 0.0f, scale = 0.3f;
    float size = 1.0f;  // of the queries: how far apart scores are
};

// Keys or values: the heads of a position side by side, nothing behind the last.
struct Cache {
    int heads, columns;
    bool half;
    std::vector<double> values;  // [position][head][column]
    std::unique_ptr<Guarded> data;

    Cache(int positions, int n_heads, int n_columns, bool as_half, uint32_t seed)
        : heads(n_heads), columns(n_columns), half(as_half) {
        const auto x = moe_test::normals(us(positions) * us(heads) * us(columns), seed);
        const ggml_type type = half ? GGML_TYPE_F16 : GGML_TYPE_F32;
        const auto packed = moe_test::quantize(type, x, columns);
        values = moe_test::dequantize(type, packed, static_cast<int64_t>(x.size()));
        data = std::make_unique<Guarded>(packed.data(), packed.size());
    }
    double at(int position, int head, int column) const {
        return values[(us(position) * us(heads) + us(head)) * us(columns) + us(column)];
    }
    moe::KvRows rows() const {
        moe::KvRows r;
        r.data = data->data();
        r.bytes = us(columns) * (half ? 2 : 4);
        r.head_stride = r.bytes;
        r.stride = r.bytes * us(heads);
        r.columns = columns;
        r.to_float = half ? nullptr : copy_floats;
        return r;
    }
};

// The mask of one query row: a value that differs from row to row, with some keys hidden; from key 32 to 63 all of them
// for every third row, and for all rows from 96 to 127.
std::vector<uint16_t> mask_of(const Shape & s, int row) {
    std::vector<uint16_t> m(us(s.keys));
    for (int j = 0; j < s.keys; ++j) {
        const bool hidden =
            s.masks == Masks::AllHidden || (row + j) % 5 == 2 || (j / 32 == 1 && row % 3 == 0) || j / 32 == 3;
        m[us(j)] = hidden ? HIDDEN : ggml_fp32_to_fp16(-0.05f * static_cast<float>((row * 7 + j) % 11));
    }
    return m;
}

class Attended {
public:
    explicit Attended(const Shape & shape)
        : s(shape),
          n(s.rows * s.heads),
          k(s.keys, s.heads, s.k_columns, s.k_half, 21),
          v(s.keys, s.heads, s.v_columns, s.v_half, 22),
          q(moe_test::normals(us(n) * us(s.k_columns), 23, s.size)) {
        for (int r = 0; r < n; ++r) {
            // two rows of a head are of one token and have the very same mask
            const bool same = s.masks == Masks::Shared && r % s.rows % 2 == 1;
            if (!same) {
                const auto m = mask_of(s, r);
                masks.push_back(std::make_unique<Guarded>(m.data(), m.size() * sizeof m[0], 2));
            }
            mask_rows.push_back(same ? r - 1 : r);
            AttentionArgs::Query query;
            query.q = q.data() + us(r) * us(s.k_columns);
            query.mask = s.masks == Masks::None ? nullptr : reinterpret_cast<const uint16_t *>(masks.back()->data());
            query.slope = s.slope * static_cast<float>(1 + r % 3);
            queries.push_back(query);
        }
    }

    void check(const KernelTable & table) const {
        SCOPED_TRACE(describe(table));
        const size_t dv = moe::attention_columns(s.v_columns);
        const Guarded scratch(table.attention_scratch(s.k_columns, s.v_columns) * sizeof(float), 64);
        const Guarded sums(us(n) * dv * sizeof(float), 64), seen(us(n) * sizeof(moe::Seen), 8);
        std::fill_n(scratch.floats(), scratch.size() / sizeof(float), NAN);
        std::fill_n(sums.floats(), sums.size() / sizeof(float), NAN);
        AttentionArgs a;
        a.k = k.rows();
        a.v = v.rows();
        a.begin = s.begin;
        a.end = s.keys;
        a.heads = s.heads;
        a.rows = s.rows;
        a.queries = queries.data();
        a.scale = s.scale;
        a.softcap = s.softcap;
        a.scratch = scratch.floats();
        a.seen = reinterpret_cast<moe::Seen *>(seen.data());
        a.sums = sums.floats();
        table.attention(a);
        for (int r = 0; r < n; ++r) {
            check_row(r, a.seen[r], a.sums + us(r) * dv);
        }
    }

private:
    Shape s;
    int n;
    Cache k, v;
    std::vector<float> q;
    std::vector<std::unique_ptr<Guarded>> masks;
    std::vector<int> mask_rows;
    std::vector<AttentionArgs::Query> queries;

    double score(int r, int key) const {
        double dot = 0;
        for (int i = 0; i < s.k_columns; ++i) {
            dot += double(queries[us(r)].q[i]) * k.at(key, r / s.rows, i);
        }
        dot *= double(s.scale);
        if (s.softcap != 0.0f) dot = double(s.softcap) * std::tanh(dot);  // the scale holds the division
        if (s.masks == Masks::None) return dot;
        const uint16_t m = queries[us(r)].mask[key];
        return m == HIDDEN ? -INF : dot + double(queries[us(r)].slope) * double(ggml_fp16_to_fp32(m));
    }
    void check_row(int r, const moe::Seen & seen, const float * sums) const {
        double max = -INF, sum = 0, largest = 0;
        std::vector<double> want(us(s.v_columns), 0.0);
        for (int j = s.begin; j < s.keys; ++j) {
            max = std::max(max, score(r, j));
            if (std::isfinite(score(r, j))) largest = std::max(largest, std::abs(score(r, j)));
        }
        const double slack = 2e-5 + 2e-6 * largest;  // e^score is as exact as the score
        for (int j = s.begin; j < s.keys && max > -INF; ++j) {
            const double weight = std::exp(score(r, j) - max);
            sum += weight;
            for (int i = 0; i < s.v_columns; ++i) {
                want[us(i)] += weight * v.at(j, r / s.rows, i);
            }
        }
        if (max == -INF) {
            EXPECT_EQ(double(seen.max), max) << "row " << r;
        } else {
            ASSERT_NEAR(double(seen.max), max, 1e-5 * (1 + largest)) << "row " << r;
        }
        ASSERT_NEAR(double(seen.sum), sum, slack * sum) << "row " << r;
        for (int i = 0; i < s.v_columns; ++i) {
            ASSERT_NEAR(double(sums[i]), want[us(i)], slack * (1 + sum)) << "row " << r << ", column " << i;
        }
    }
    std::string describe(const KernelTable & t) const {
        return std::string(t.name) + " rows=" + std::to_string(s.rows) + " heads=" + std::to_string(s.heads) +
               " keys=" + std::to_string(s.begin) + ".." + std::to_string(s.keys) +
               " columns=" + std::to_string(s.k_columns) + "," + std::to_string(s.v_columns) +
               (s.k_half ? " half" : " single") + (s.v_half ? " half" : " single");
    }
};

void check_all(const Shape & s) {
    const Attended attended(s);
    for (const KernelTable * t : tables()) {
        attended.check(*t);
    }
}

}  // namespace

// Up to 24 rows of a head and from 25 on, keys are multiplied in different ways; blocks have 4, 6 or 12 rows.
TEST(KernelAttention, EveryNumberOfRows) {
    for (const int rows : {1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 23, 24, 25, 26, 37, 49}) {
        Shape s;
        s.rows = rows;
        s.keys = 70;
        check_all(s);
        s.k_half = s.v_half = false;
        check_all(s);
    }
}
TEST(KernelAttention, SeveralHeads) {
    for (const auto & [rows, heads] :
         {std::pair(1, 2), {1, 7}, {2, 3}, {3, 5}, {5, 4}, {24, 6}, {26, 2}, {48, 3}, {144, 1}, {1, 144}}) {
        for (const bool half : {true, false}) {
            Shape s;
            s.rows = rows;
            s.heads = heads;
            s.keys = 67;
            s.k_columns = 32;
            s.v_columns = 32;
            s.k_half = s.v_half = half;
            check_all(s);
            s.masks = Masks::Shared;
            check_all(s);
        }
    }
}
TEST(KernelAttention, EveryNumberOfKeys) {
    for (int keys = 1; keys <= 66; ++keys) {
        Shape s;
        s.rows = 1 + keys % 3;
        s.heads = 2;
        s.keys = keys;
        s.k_columns = 40;
        check_all(s);
    }
    for (const int keys : {95, 96, 97, 128, 129, 160, 200}) {
        Shape s;
        s.rows = 5;
        s.heads = 2;
        s.keys = keys;
        check_all(s);
        s.rows = 30;
        check_all(s);
    }
}
TEST(KernelAttention, AChunkOfTheKeys) {
    for (const int begin : {32, 64, 96, 128}) {
        for (const int rows : {2, 27}) {
            Shape s;
            s.rows = rows;
            s.heads = 2;
            s.begin = begin;
            s.keys = 171;
            check_all(s);
            s.k_half = s.v_half = false;
            check_all(s);
        }
    }
}
TEST(KernelAttention, NoKeys) {
    Shape s;
    s.begin = s.keys = 32;
    check_all(s);
}
// Columns that are no multiple of anything, and those that one or two rows take in larger steps.
TEST(KernelAttention, EveryNumberOfColumns) {
    const int columns[] = {1,  2,  7,  8,  9,  15, 16, 17, 24,  31,  32,  33,
                           40, 48, 63, 64, 65, 72, 80, 96, 112, 128, 192, 256};
    for (const int rows : {1, 2, 3, 26}) {
        for (size_t i = 0; i < std::size(columns); ++i) {
            Shape s;
            s.rows = rows;
            s.keys = 43;
            s.k_columns = columns[i];
            s.v_columns = columns[(i * 5 + 3) % std::size(columns)];
            check_all(s);
            s.v_half = false;
            check_all(s);
            s.k_half = false;
            check_all(s);
        }
    }
}
TEST(KernelAttention, WithoutMasks) {
    for (const int rows : {1, 3, 26}) {
        for (const int keys : {32, 45, 64}) {
            Shape s;
            s.rows = rows;
            s.heads = 2;
            s.keys = keys;
            s.masks = Masks::None;
            check_all(s);
        }
    }
}
TEST(KernelAttention, NothingIsSeen) {
    for (const int rows : {1, 26}) {
        Shape s;
        s.rows = rows;
        s.heads = 2;
        s.masks = Masks::AllHidden;
        check_all(s);
    }
}
TEST(KernelAttention, SlopesAndSoftcaps) {
    for (const int rows : {1, 2, 26}) {
        Shape s;
        s.rows = rows;
        s.heads = 2;
        s.slope = 4.5f;
        check_all(s);
        s.softcap = 3.0f;
        check_all(s);
        s.slope = 1.0f;
        check_all(s);
    }
}
// Scores so far apart that most weights are nothing, and what was summed shrinks to nothing when a larger one comes.
TEST(KernelAttention, ScoresFarApart) {
    for (const float size : {0.0f, 10.0f, 100.0f}) {
        for (const int rows : {1, 3, 26}) {
            Shape s;
            s.rows = rows;
            s.heads = 2;
            s.keys = 130;
            s.size = size;
            check_all(s);
        }
    }
}

// FLASH_ATTN_EXT of a prompt against an F64 reference: every type of cache, remainders of tokens, keys and columns,
// masks, sinks.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "harness.h"

using namespace moe_test;

namespace {

enum class Mask { None, Causal, Holes };

struct Shape {
    ggml_type type = GGML_TYPE_F16;
    int64_t dk = 64, dv = 64, heads = 4, kv_heads = 2, tokens = 35, keys = 96, streams = 1;
    Mask mask = Mask::Causal;
    bool side_by_side = false;  // the heads of a position, as in llama.cpp's cache; else the positions of a head
    bool sinks = false;
    int64_t mask_heads = 1, mask_streams = 0;  // masks of their own; 0 streams: all of them
    bool queries_side_by_side = false;         // as llama.cpp has them
    float max_bias = 0, softcap = 0;
};

size_t us(int64_t v) {
    return static_cast<size_t>(v);
}

constexpr float SCALE = 0.3f;

// mask[stream][head][token][key]: 0, a distance (what ALiBi multiplies) or -infinity. With holes, one token sees
// nothing, and a whole stretch of keys is hidden from all.
float mask_at(const Shape & s, int64_t token, int64_t key, int64_t head = 0, int64_t stream = 0) {
    const float hidden = -std::numeric_limits<float>::infinity();
    const int64_t position = s.keys - s.tokens + token;  // the tokens are the last ones
    if (s.mask == Mask::None) return 0;
    if (key > position) return hidden;
    const int64_t h = head % s.mask_heads, i = s.mask_streams ? stream % s.mask_streams : stream;
    if ((h > 0 || i > 0) && (token + key + h * 3 + i * 5) % 4 == 1) return hidden;  // each is another
    if (s.mask == Mask::Holes && (token == 5 || (key >= 64 && key < 192) || (token + key) % 7 == 3)) return hidden;
    return s.max_bias > 0 ? -static_cast<float>(position - key) : 0.0f;
}

std::vector<float> mask_of(const Shape & s) {
    std::vector<float> m;
    for (int64_t i = 0; i < (s.mask_streams ? s.mask_streams : s.streams); ++i) {
        for (int64_t h = 0; h < s.mask_heads; ++h) {
            for (int64_t t = 0; t < s.tokens; ++t) {
                for (int64_t k = 0; k < s.keys; ++k) {
                    m.push_back(mask_at(s, t, k, h, i));
                }
            }
        }
    }
    return m;
}

double slope(const Shape & s, int64_t head) {
    if (s.max_bias <= 0) return 1;
    const double two = std::exp2(std::floor(std::log2(double(s.heads)))), h = double(head);
    return h < two ? std::pow(std::pow(2.0, -s.max_bias / two), h + 1)
                   : std::pow(std::pow(2.0, -s.max_bias / 2 / two), 2 * (h - two) + 1);
}

struct Values {
    std::vector<float> q, sinks;
    std::vector<uint8_t> k, v;
    std::vector<double> kf, vf;

    explicit Values(const Shape & s)
        : q(normals(us(s.dk * s.tokens * s.heads * s.streams), 41)),
          sinks(normals(us(s.heads), 42)),
          k(quantize(s.type, normals(us(s.dk * s.keys * s.kv_heads * s.streams), 43), s.dk)),
          v(quantize(s.type, normals(us(s.dv * s.keys * s.kv_heads * s.streams), 44), s.dv)),
          kf(dequantize(s.type, k, s.dk * s.keys * s.kv_heads * s.streams)),
          vf(dequantize(s.type, v, s.dv * s.keys * s.kv_heads * s.streams)) {}
};

// out[dv] of one query, by the definition
void reference(const Shape & s, const Values & x, int64_t token, int64_t head, int64_t stream, double * out) {
    const int64_t kv = stream * s.kv_heads + head / (s.heads / s.kv_heads);
    const float * q = &x.q[us(((stream * s.heads + head) * s.tokens + token) * s.dk)];
    std::vector<double> score(us(s.keys));
    double max = s.sinks ? double(x.sinks[us(head)]) : -std::numeric_limits<double>::infinity();
    for (int64_t j = 0; j < s.keys; ++j) {
        double dot = 0;
        for (int64_t i = 0; i < s.dk; ++i) {
            dot += q[i] * x.kf[us((kv * s.keys + j) * s.dk + i)];
        }
        dot *= double(SCALE);
        if (s.softcap != 0) dot = s.softcap * std::tanh(dot / s.softcap);
        score[us(j)] = dot + slope(s, head) * mask_at(s, token, j, head, stream);
        max = std::max(max, score[us(j)]);
    }
    double sum = s.sinks ? std::exp(x.sinks[us(head)] - max) : 0.0;
    std::fill(out, out + s.dv, 0.0);
    if (!std::isfinite(max)) return;
    for (int64_t j = 0; j < s.keys; ++j) {
        const double w = std::exp(score[us(j)] - max);
        sum += w;
        for (int64_t i = 0; i < s.dv; ++i) {
            out[i] += w * x.vf[us((kv * s.keys + j) * s.dv + i)];
        }
    }
    for (int64_t i = 0; i < s.dv; ++i) {
        out[i] /= sum;
    }
}

// The cache [columns, keys, kv heads, streams] of rows that come in this order.
ggml_tensor * cache(Graph & g, const Shape & s, int64_t columns, const std::vector<uint8_t> & rows) {
    if (!s.side_by_side) {
        return g.weight(s.type, {columns, s.keys, s.kv_heads, s.streams}, rows);
    }
    const size_t bytes = ggml_row_size(s.type, columns);
    std::vector<uint8_t> turned;
    for (int64_t i = 0; i < s.streams; ++i) {
        for (int64_t key = 0; key < s.keys; ++key) {
            for (int64_t h = 0; h < s.kv_heads; ++h) {
                const auto row = rows.begin() + static_cast<ptrdiff_t>(us((i * s.kv_heads + h) * s.keys + key) * bytes);
                turned.insert(turned.end(), row, row + static_cast<ptrdiff_t>(bytes));
            }
        }
    }
    return ggml_permute(g.ctx(), g.weight(s.type, {columns, s.kv_heads, s.keys, s.streams}, turned), 0, 2, 1, 3);
}

ggml_tensor * build(Graph & g, const Shape & s, const Values & x) {
    ggml_context * c = g.ctx();
    ggml_tensor * q = g.input({s.dk, s.tokens, s.heads, s.streams}, x.q);
    if (s.queries_side_by_side) {
        std::vector<float> turned;
        for (int64_t i = 0; i < s.streams; ++i) {
            for (int64_t t = 0; t < s.tokens; ++t) {
                for (int64_t h = 0; h < s.heads; ++h) {
                    const auto row = x.q.begin() + static_cast<ptrdiff_t>(((i * s.heads + h) * s.tokens + t) * s.dk);
                    turned.insert(turned.end(), row, row + static_cast<ptrdiff_t>(s.dk));
                }
            }
        }
        q = ggml_permute(c, g.input({s.dk, s.heads, s.tokens, s.streams}, turned), 0, 2, 1, 3);
    }
    ggml_tensor *k = cache(g, s, s.dk, x.k), *v = cache(g, s, s.dv, x.v);
    ggml_tensor * mask = nullptr;
    if (s.mask != Mask::None) {
        const auto m = mask_of(s);
        std::vector<ggml_fp16_t> half(m.size());
        ggml_fp32_to_fp16_row(m.data(), half.data(), static_cast<int64_t>(m.size()));
        const auto * bytes = reinterpret_cast<const uint8_t *>(half.data());
        const int64_t streams = s.mask_streams ? s.mask_streams : s.streams;
        mask = g.weight(GGML_TYPE_F16, {s.keys, s.tokens, s.mask_heads, streams},
                        {bytes, bytes + half.size() * sizeof half[0]});
    }
    ggml_tensor * out = ggml_flash_attn_ext(c, q, k, v, mask, SCALE, s.max_bias, s.softcap);
    if (s.sinks) {
        ggml_flash_attn_ext_add_sinks(out, g.input({s.heads}, x.sinks));
    }
    return out;
}

void check(const Shape & s) {
    SCOPED_TRACE(std::string(ggml_type_name(s.type)) + " dk=" + std::to_string(s.dk) + " dv=" + std::to_string(s.dv) +
                 " tokens=" + std::to_string(s.tokens) + " keys=" + std::to_string(s.keys) + " heads=" +
                 std::to_string(s.heads) + "/" + std::to_string(s.kv_heads) + (s.side_by_side ? " side by side" : ""));
    const Values x(s);
    std::vector<double> ref(us(s.dv * s.heads * s.tokens * s.streams));
    for (int64_t i = 0; i < s.streams; ++i) {
        for (int64_t t = 0; t < s.tokens; ++t) {
            for (int64_t h = 0; h < s.heads; ++h) {
                reference(s, x, t, h, i, &ref[us(((i * s.tokens + t) * s.heads + h) * s.dv)]);
            }
        }
    }
    const Pair p = run_both([&](Graph & g) { return build(g, s, x); });
    EXPECT_TRUE(p.canary);
    const double moe = nmse(p.moe, ref), cpu = nmse(p.cpu, ref);
    EXPECT_LE(moe, 1e-11);  // of sums in single precision
    EXPECT_LE(moe, cpu * 1.1 + 1e-12);
}

Shape with(const std::function<void(Shape &)> & change) {
    Shape s;
    change(s);
    return s;
}

}  // namespace

// Few rows and many are computed in different ways.
constexpr int64_t FEW_AND_MANY[] = {3, 35};

TEST(Attention, EveryTypeOfCache) {
    for (ggml_type t : {GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_BF16, GGML_TYPE_Q8_0, GGML_TYPE_Q4_0, GGML_TYPE_Q5_1,
                        GGML_TYPE_IQ4_NL}) {
        for (int64_t tokens : FEW_AND_MANY) {
            check(with([&](Shape & s) {
                s.tokens = tokens;
                s.type = t;
            }));
        }
    }
}
TEST(Attention, ColumnRemainders) {
    for (int64_t tokens : FEW_AND_MANY) {
        for (int64_t dk : {1, 3, 40, 72, 80, 128, 192}) {
            check(with([&](Shape & s) {
                s.tokens = tokens;
                s.dk = dk;
                s.dv = dk;
            }));
            check(with([&](Shape & s) {
                s.tokens = tokens;
                s.dk = dk;
                s.dv = 33;
            }));
        }
        check(with([&](Shape & s) {
            s.tokens = tokens;
            s.dk = 576;
            s.dv = 512;
            s.kv_heads = 1;
        }));  // as in DeepSeek-V2: one head for all
    }
}
TEST(Attention, KeyRemainders) {
    for (int64_t tokens : FEW_AND_MANY) {
        for (int64_t keys : {35, 61, 62, 63, 64, 65, 127, 128, 129, 300}) {
            check(with([&](Shape & s) {
                s.tokens = tokens;
                s.keys = keys;
            }));
            check(with([&](Shape & s) {
                s.tokens = tokens;
                s.keys = keys;
                s.mask = Mask::None;
            }));
        }
    }
}
TEST(Attention, TokenRemainders) {
    for (int64_t tokens : {1, 2, 3, 5, 11, 12, 13, 23, 24, 25, 32, 33, 47, 71, 72, 73, 144, 145}) {
        check(with([&](Shape & s) {
            s.tokens = tokens;
            s.keys = 160;
        }));
        check(with([&](Shape & s) {
            s.tokens = tokens;
            s.keys = 160;
            s.heads = 2;
        }));
    }
}
TEST(Attention, HeadsShareKeys) {
    for (int64_t kv_heads : {1, 2, 3, 6}) {
        check(with([&](Shape & s) {
            s.heads = 6;
            s.kv_heads = kv_heads;
        }));
        check(with([&](Shape & s) {
            s.heads = 6;
            s.kv_heads = kv_heads;
            s.tokens = 1;
        }));
    }
}
// One token and long contexts: chunks of keys are summed apart.
TEST(Attention, ChunksOfKeys) {
    for (int64_t keys : {511, 512, 513, 1000, 4100}) {
        check(with([&](Shape & s) {
            s.tokens = 1;
            s.keys = keys;
        }));
        check(with([&](Shape & s) {
            s.tokens = 9;
            s.keys = keys;
            s.mask = Mask::Holes;
            s.sinks = true;
        }));
    }
    check(with([](Shape & s) {
        s.tokens = 1;
        s.keys = 2000;
        s.streams = 3;
        s.type = GGML_TYPE_Q8_0;
    }));
}
// Passes that take several heads: all of them, or as many as leave enough work to hand out, the last pass fewer.
TEST(Attention, HeadsSideBySide) {
    for (int64_t kv_heads : {16, 8, 4, 3, 1}) {
        for (int64_t tokens : {1, 2, 5}) {
            const auto shape = [&](const std::function<void(Shape &)> & change) {
                return with([&](Shape & s) {
                    s.side_by_side = true;
                    s.heads = 16 / kv_heads * kv_heads;
                    s.kv_heads = kv_heads;
                    s.tokens = tokens;
                    s.keys = 2047;
                    change(s);
                });
            };
            check(shape([](Shape & s) { s.sinks = true; }));
            check(shape([](Shape & s) {
                s.mask = Mask::Holes;
                s.dk = 40;
                s.dv = 33;
            }));
            check(shape([](Shape & s) {
                s.type = GGML_TYPE_Q8_0;
                s.max_bias = 8;
            }));
        }
    }
    check(with([](Shape & s) {
        s.side_by_side = true;
        s.tokens = 3;
        s.keys = 1000;
        s.streams = 3;
    }));
    check(with([](Shape & s) {
        s.side_by_side = true;
        s.tokens = 200;
    }));
}
TEST(Attention, HiddenKeysAndTokens) {
    check(with([](Shape & s) {
        s.mask = Mask::Holes;
        s.keys = 300;
    }));
    check(with([](Shape & s) {
        s.mask = Mask::Holes;
        s.keys = 300;
        s.sinks = true;
    }));
}
TEST(Attention, Sinks) {
    check(with([](Shape & s) { s.sinks = true; }));
}
TEST(Attention, DistancesAndSoftCaps) {
    check(with([](Shape & s) {
        s.max_bias = 8;
        s.heads = 6;
    }));
    check(with([](Shape & s) { s.softcap = 2; }));
    check(with([](Shape & s) {
        s.max_bias = 8;
        s.softcap = 2;
        s.sinks = true;
        s.mask = Mask::Holes;
        s.keys = 256;
    }));
}
TEST(Attention, Streams) {
    for (int64_t tokens : FEW_AND_MANY) {
        check(with([&](Shape & s) {
            s.tokens = tokens;
            s.streams = 3;
        }));
        check(with([&](Shape & s) {
            s.tokens = tokens;
            s.streams = 3;
            s.side_by_side = true;
            s.sinks = true;
        }));
        check(with([&](Shape & s) {
            s.tokens = tokens;
            s.streams = 4;
            s.mask_streams = 1;
        }));
        check(with([&](Shape & s) {
            s.tokens = tokens;
            s.streams = 4;
            s.mask_streams = 2;
        }));
    }
}
TEST(Attention, MasksOfHeads) {
    for (int64_t tokens : FEW_AND_MANY) {
        check(with([&](Shape & s) {
            s.tokens = tokens;
            s.mask_heads = 4;
        }));
        check(with([&](Shape & s) {
            s.tokens = tokens;
            s.mask_heads = 2;
            s.streams = 2;
            s.side_by_side = true;
        }));
        check(with([&](Shape & s) {
            s.tokens = tokens;
            s.mask_heads = 4;
            s.max_bias = 8;
            s.heads = 8;
        }));
    }
}
TEST(Attention, QueriesSideBySide) {
    for (int64_t tokens : FEW_AND_MANY) {
        check(with([&](Shape & s) { s.tokens = tokens, s.queries_side_by_side = true, s.streams = 2; }));
    }
}
TEST(Attention, OfNoTokens) {
    Graph g(true);
    ggml_tensor * kv = g.weight(GGML_TYPE_F32, {64, 32, 2}, quantize(GGML_TYPE_F32, normals(64 * 64, 1), 64));
    EXPECT_TRUE(
        g.compute(ggml_flash_attn_ext(g.ctx(), g.input({64, 0, 4}, {}), kv, kv, nullptr, 1.0f, 0.0f, 0.0f)).empty());
    EXPECT_TRUE(g.canary_ok());
}

TEST(Attention, SameBitsForAnyNumberOfThreads) {
    for (int64_t tokens : {1, 150}) {
        const Shape s = with([&](Shape & t) {
            t.side_by_side = true;
            t.tokens = tokens;
            t.keys = 1300;
            t.sinks = true;
        });
        const Values x(s);
        std::vector<float> first;
        for (int threads : {1, 2, 3, 5}) {
            Graph g(true, threads);
            const auto out = g.compute(build(g, s, x), 2);
            if (first.empty()) first = out;
            EXPECT_EQ(out, first) << threads;
        }
    }
}

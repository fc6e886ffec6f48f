// MUL_MAT against the F64 reference: every type, remainders of rows, columns and batch, heads.
#include <gtest/gtest.h>

#include <cmath>

#include "harness.h"

using namespace moe_test;

namespace {

struct Sizes {
    int64_t k, n, m;              // columns, rows of weights, rows of input for each head
    int64_t heads = 1;            // of the input
    int64_t share = 1;            // heads that follow each other and have the same weights
    bool token_by_token = false;  // in memory the heads of a token lie side by side, as attention leaves them
};

void check(ggml_type type, const Sizes & s) {
    const int64_t k = s.k, n = s.n, m = s.m, heads = s.heads, share = s.share;
    const bool token_by_token = s.token_by_token;
    SCOPED_TRACE(std::string(ggml_type_name(type)) + " k=" + std::to_string(k) + " rows=" + std::to_string(n) +
                 " batch=" + std::to_string(m) + " heads=" + std::to_string(heads) + "/" + std::to_string(share) +
                 (token_by_token ? ", token by token" : ""));
    const int64_t matrices = heads / share;
    const auto w = quantize(type, normals(static_cast<size_t>(k * n * matrices), 11), k);
    const auto x = normals(static_cast<size_t>(k * m * heads), 12);
    const auto wf = dequantize(type, w, k * n * matrices);
    std::vector<double> ref(static_cast<size_t>(n * m * heads));
    for (int64_t out = 0; out < n * m * heads; ++out) {
        const int64_t r = out % n, t = out / n % m, h = out / n / m;
        const int64_t w_row = h / share * n + r, x_row = token_by_token ? t * heads + h : h * m + t;
        double sum = 0;
        for (int64_t i = 0; i < k; ++i) {
            sum += wf[static_cast<size_t>(w_row * k + i)] * x[static_cast<size_t>(x_row * k + i)];
        }
        ref[static_cast<size_t>(out)] = sum;
    }
    const Pair p = run_both([&](Graph & g) {
        ggml_tensor * in =
            token_by_token ? ggml_permute(g.ctx(), g.input({k, heads, m}, x), 0, 2, 1, 3) : g.input({k, m, heads}, x);
        return ggml_mul_mat(g.ctx(), g.weight(type, {k, n, matrices}, w), in);
    });
    // A few products may be next to nothing by chance, and any error large beside them.
    const int64_t products = n * m * heads;
    const double energy = products < 256 ? product_energy(wf, x, k) / static_cast<double>(matrices) : 0.0;
    const double moe = nmse(p.moe, ref, energy), cpu = nmse(p.cpu, ref, energy);
    EXPECT_TRUE(p.canary);
    // small samples scatter around their expectation
    const double slack = products < 256 ? 8.0 : 1.5;
    EXPECT_LE(moe, bound_for(type, x, k) * slack);
    if (products >= 1024) {
        EXPECT_LE(moe, cpu * 1.1 + 1e-12);
    }
}

void check(ggml_type type, int64_t k, int64_t n, int64_t m) {
    check(type, {k, n, m});
}

// Weights and scales of all ones and zeros times the largest activations of either sign: every sum that a kernel keeps
// in few bits is as large as it can be. Such activations are whole numbers of steps, so nothing is lost by quantizing
// them.
void check_largest_sums(ggml_type type) {
    const int64_t k = columns(type, 512), rows = 48, batch = 16;
    const size_t block = ggml_type_size(type);
    std::vector<float> x(static_cast<size_t>(k * batch));
    for (size_t i = 0; i < x.size(); ++i) {
        const size_t t = i / static_cast<size_t>(k);
        x[i] = t == 0 || (t > 1 && i / (t - 1) % 2 == 0) ? 1.0f : -1.0f;  // all of one sign, or runs of 1 to 14 of each
    }
    for (int fill : {0x00, 0xff, 0x0f, 0xf0, 0x7f, 0x80}) {
        SCOPED_TRACE(std::string(ggml_type_name(type)) + ", bytes " + std::to_string(fill));
        std::vector<uint8_t> w(ggml_row_size(type, k) * static_cast<size_t>(rows), static_cast<uint8_t>(fill));
        for (size_t i = 0; i < w.size(); i += block) {
            set_scale(type, &w[i], 0.01f * static_cast<float>(1 + i / block % 7), 0.02f);
        }
        const auto wf = dequantize(type, w, k * rows);
        const Pair p = run_both([&](Graph & g) {
            return ggml_mul_mat(g.ctx(), g.weight(type, {k, rows}, w), g.input({k, batch}, x));
        });
        for (int64_t i = 0; i < rows * batch; ++i) {
            double sum = 0, size = 0;
            for (int64_t c = 0; c < k; ++c) {
                const double product =
                    wf[static_cast<size_t>(i % rows * k + c)] * x[static_cast<size_t>(i / rows * k + c)];
                sum += product;
                size += std::abs(product);
            }
            ASSERT_NEAR(p.moe[static_cast<size_t>(i)], sum, 1e-5 * size + 1e-30)
                << "row " << i % rows << ", batch row " << i / rows;
        }
    }
}

}  // namespace

class Products : public testing::TestWithParam<ggml_type> {};

TEST_P(Products, RowRemainders) {
    for (int64_t n : {1, 7, 8, 15, 16, 17, 31, 32, 33, 65}) {
        for (int64_t m : {3, 15}) {
            check(GetParam(), columns(GetParam(), 256), n, m);
        }
    }
}
TEST_P(Products, BatchRemainders) {
    for (int64_t m : {1, 2, 3, 4, 5, 6, 7, 8, 13, 14, 16, 17, 30}) {
        check(GetParam(), columns(GetParam(), 512), 48, m);
    }
}
TEST_P(Products, ColumnRemainders) {
    for (int64_t k : {1, 32, 224, 256, 288, 544, 800}) {
        if (k % ggml_blck_size(GetParam()) != 0) continue;
        for (int64_t m : {2, 16}) {
            check(GetParam(), k, 40, m);
        }
    }
}
TEST_P(Products, NeverWorseThanGgml) {
    check(GetParam(), columns(GetParam(), 512), 64, 20);
    check(GetParam(), columns(GetParam(), 512), 1056, 1);
}
TEST_P(Products, MoreRowsThanOnePass) {
    check(GetParam(), columns(GetParam(), 256), 33, 259);
}

// A matrix of weights for each attention head: one token, few, and more than one pass of them.
TEST_P(Products, Heads) {
    const int64_t k = columns(GetParam(), 192);
    for (const bool token_by_token : {false, true}) {
        for (int64_t m : {1, 2, 5, 17}) {
            check(GetParam(), {k, 33, m, 5, 1, token_by_token});
        }
        check(GetParam(), {k, 16, 1, 1, 1, token_by_token});
        check(GetParam(), {k, 40, 3, 6, 2, token_by_token});
    }
    check(GetParam(), {k, 17, 259, 3, 1, true});
}

TEST_P(Products, SlowSweep) {
    for (int64_t n = 1; n <= 70; n += 3) {
        for (int64_t m = 1; m <= 18; ++m) {
            check(GetParam(), columns(GetParam(), 256 * (1 + n % 3)), n, m);
            check(GetParam(), {columns(GetParam(), 256), n, m, 1 + n % 4, 1, m % 2 == 0});
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Types, Products, testing::ValuesIn(weight_types()),
                         [](const auto & i) { return std::string(ggml_type_name(i.param)); });

// Columns that are not a multiple of the vector width exist only for float weights.
TEST(Products, OddColumnsOfFloatWeights) {
    for (ggml_type t : {GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_BF16}) {
        for (int64_t k : {1, 2, 3, 5, 8, 15, 17, 63, 65, 100, 129}) {
            check(t, k, 19, 5);
        }
    }
}

TEST(Products, LargestSumsOfQuantizedWeights) {
    for (ggml_type t : weight_types()) {
        if (ggml_is_quantized(t)) check_largest_sums(t);
    }
}

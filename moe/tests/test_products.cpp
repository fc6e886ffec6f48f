// MUL_MAT against the F64 reference: every type, remainders of rows, columns and batch.
#include <gtest/gtest.h>

#include <cmath>

#include "harness.h"

using namespace moe_test;

namespace {

void check(ggml_type type, int64_t k, int64_t n, int64_t m) {
    SCOPED_TRACE(std::string(ggml_type_name(type)) + " k=" + std::to_string(k) + " rows=" + std::to_string(n) +
                 " batch=" + std::to_string(m));
    const auto w = quantize(type, normals(static_cast<size_t>(k * n), 11), k);
    const auto x = normals(static_cast<size_t>(k * m), 12);
    const auto wf = dequantize(type, w, k * n);
    std::vector<double> ref(static_cast<size_t>(n * m));
    for (int64_t t = 0; t < m; ++t) {
        for (int64_t r = 0; r < n; ++r) {
            double s = 0;
            for (int64_t i = 0; i < k; ++i) {
                s += wf[static_cast<size_t>(r * k + i)] * x[static_cast<size_t>(t * k + i)];
            }
            ref[static_cast<size_t>(t * n + r)] = s;
        }
    }
    const Pair p = run_both([&](Graph & g) {
        return ggml_mul_mat(g.ctx(), g.weight(type, {k, n}, w), g.input({k, m}, x));
    });
    // A few products may be next to nothing by chance, and any error large beside them.
    const double energy = n * m < 256 ? product_energy(wf, x, k) : 0.0;
    const double moe = nmse(p.moe, ref, energy), cpu = nmse(p.cpu, ref, energy);
    EXPECT_TRUE(p.canary);
    // small samples scatter around their expectation
    const double slack = n * m < 256 ? 8.0 : 1.5;
    EXPECT_LE(moe, bound_for(type, x, k) * slack);
    if (n * m >= 1024) {
        EXPECT_LE(moe, cpu * 1.1 + 1e-12);
    }
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

TEST_P(Products, SlowSweep) {
    for (int64_t n = 1; n <= 70; n += 3) {
        for (int64_t m = 1; m <= 18; ++m) {
            check(GetParam(), columns(GetParam(), 256 * (1 + n % 3)), n, m);
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

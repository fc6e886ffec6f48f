// MUL_MAT against the F64 reference: every type, remainders of rows, columns and batch.
#include <gtest/gtest.h>

#include "harness.h"

using namespace moe_test;

namespace {

void check(ggml_type type, int64_t k, int64_t n, int64_t m) {
    SCOPED_TRACE(std::string(ggml_type_name(type)) + " k=" + std::to_string(k) + " rows=" + std::to_string(n) + " batch=" + std::to_string(m));
    const auto w = quantize(type, normals(static_cast<size_t>(k * n), 11), k);
    const auto x = normals(static_cast<size_t>(k * m), 12);
    const auto wf = dequantize(type, w, k * n);
    std::vector<double> ref(static_cast<size_t>(n * m));
    for (int64_t t = 0; t < m; ++t) {
        for (int64_t r = 0; r < n; ++r) {
            double s = 0;
            for (int64_t i = 0; i < k; ++i) { s += wf[static_cast<size_t>(r * k + i)] * x[static_cast<size_t>(t * k + i)]; }
            ref[static_cast<size_t>(t * n + r)] = s;
        }
    }
    const Pair p = run_both([&](Graph & g) { return ggml_mul_mat(g.ctx(), g.weight(type, {k, n}, w), g.input({k, m}, x)); });
    // A few products may be next to nothing by chance, and any error large beside them.
    const double energy = n * m < 256 ? product_energy(wf, x, k) : 0.0;
    const double moe = nmse(p.moe, ref, energy), cpu = nmse(p.cpu, ref, energy);
    EXPECT_TRUE(p.canary);
    // small samples scatter around their expectation
    const double slack = n * m < 256 ? 8.0 : 1.5;
    EXPECT_LE(moe, bound_for(type, x, k) * slack);
    if (n * m >= 1024) { EXPECT_LE(moe, cpu * 1.1 + 1e-12); }
}

}  // namespace

class Products : public testing::TestWithParam<ggml_type> {};

TEST_P(Products, RowRemainders) {
    for (int64_t n : {1, 7, 8, 15, 16, 17, 31, 32, 33, 65}) { check(GetParam(), columns(GetParam(), 256), n, 3); }
}
TEST_P(Products, BatchRemainders) {
    for (int64_t m : {1, 2, 3, 4, 5, 6, 7, 8, 13, 17}) { check(GetParam(), columns(GetParam(), 512), 48, m); }
}
TEST_P(Products, ColumnRemainders) {
    for (int64_t k : {1, 32, 224, 256, 288, 544, 800}) {
        if (k % ggml_blck_size(GetParam()) == 0) { check(GetParam(), k, 40, 2); }
    }
}
TEST_P(Products, NeverWorseThanGgml) {
    check(GetParam(), columns(GetParam(), 512), 64, 20);
    check(GetParam(), columns(GetParam(), 512), 1056, 1);
}
TEST_P(Products, MoreRowsThanOnePass) { check(GetParam(), columns(GetParam(), 256), 33, 259); }

TEST_P(Products, SlowSweep) {
    for (int64_t n = 1; n <= 70; n += 3) {
        for (int64_t m = 1; m <= 14; ++m) { check(GetParam(), columns(GetParam(), 256 * (1 + n % 3)), n, m); }
    }
}

INSTANTIATE_TEST_SUITE_P(Types, Products, testing::ValuesIn(weight_types()),
                         [](const auto & i) { return std::string(ggml_type_name(i.param)); });

// Columns that are not a multiple of the vector width exist only for float weights.
TEST(Products, OddColumnsOfFloatWeights) {
    for (ggml_type t : {GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_BF16}) {
        for (int64_t k : {1, 2, 3, 5, 8, 15, 17, 63, 65, 100, 129}) { check(t, k, 19, 5); }
    }
}

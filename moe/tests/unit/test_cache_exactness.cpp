// Experts in VRAM beside a GPU: the same results as without, whatever the model is made of.
#include "cached_model.h"

using namespace moe_test;
using namespace moe_test::cached;

TEST(CacheExactness, SameResultsFromBothSides) {
    const Shape s;
    for (const int64_t tokens : {1, 2, 7, 40}) {
        const auto expected = without_cache(s, 12, tokens);
        reset();
        ModelGpu gpu;
        const CacheSize size("256KiB");  // 7 of 24 experts
        Model m(s, &gpu);
        const auto got = m.run(12, tokens);
        EXPECT_LT(difference(got, expected), FLOAT_ERROR) << tokens;
        const auto n = stats();
        EXPECT_GT(n.hits, 0u) << tokens;
        EXPECT_LT(n.hits, n.lookups) << tokens;
        EXPECT_GT(gpu.graphs(), 0u);
        EXPECT_EQ(n.failures, 0u);
    }
}
// Against F64, with the bounds of the CPU alone (test_ffn.cpp), and no further off than it by more than half.
TEST(CacheExactness, AsCloseToExactResultsAsTheCpu) {
    for (const ggml_type type : {GGML_TYPE_F16, GGML_TYPE_Q8_0, GGML_TYPE_Q4_K, GGML_TYPE_Q2_K}) {
        Shape s;
        s.embd = s.ff = 256;
        s.gate = s.up = s.down = type;
        const std::vector<int32_t> ids{1, 2, 3, 4, 5, 1};
        const auto compute = [&](const std::string & size, std::vector<double> & exact) {
            ModelGpu gpu;
            const CacheSize cache(size);
            Model m(s, &gpu);
            for (int i = 0; i < 4; ++i) {  // the cache opens, and three of the five experts come into it
                m.layer(0, {1, 2, 3, 1, 2, 3}, 7);
                m.cache().wait_for_uploads();
            }
            reset();
            exact = m.exact(0, ids, 9);
            return m.layer(0, ids, 9);
        };
        std::vector<double> exact;
        const double cpu = nmse(compute("off", exact), exact);
        const double both = nmse(compute("64MiB", exact), exact);
        EXPECT_EQ(stats().hits, 3u);
        EXPECT_EQ(stats().lookups, 5u);
        EXPECT_LT(cpu, type == GGML_TYPE_F16 ? FLOAT_ERROR : QUANTIZED_ERROR) << ggml_type_name(type);
        EXPECT_LT(both, type == GGML_TYPE_F16 ? FLOAT_ERROR : QUANTIZED_ERROR) << ggml_type_name(type);
        if (type != GGML_TYPE_F16) {
            EXPECT_LT(both, 1.5 * cpu) << ggml_type_name(type);
        }
    }
}
TEST(CacheExactness, GptOssLikeWithBiases) {
    Shape s;
    s.gate = s.up = s.down = GGML_TYPE_MXFP4;
    s.bias = true;
    s.used = 4;
    s.glu = GGML_GLU_OP_SWIGLU_OAI;
    for (const int64_t tokens : {1, 5}) {
        const auto expected = without_cache(s, 12, tokens);
        reset();
        ModelGpu gpu;
        const CacheSize size("100KiB");
        EXPECT_LT(difference(Model(s, &gpu).run(12, tokens), expected), QUANTIZED_ERROR) << tokens;
        EXPECT_GT(stats().hits, 0u);
    }
}
TEST(CacheExactness, MixedTypesInOneExpert) {
    Shape s;
    s.embd = s.ff = 256;
    s.gate = GGML_TYPE_Q4_K, s.up = GGML_TYPE_Q4_K, s.down = GGML_TYPE_Q6_K;
    const auto expected = without_cache(s, 10, 1);
    reset();
    ModelGpu gpu;
    const CacheSize size("1MiB");
    EXPECT_LT(difference(Model(s, &gpu).run(10, 1), expected), QUANTIZED_ERROR);
    EXPECT_GT(stats().hits, 0u);
}
TEST(CacheExactness, RowsThatAreNotSummed) {
    Shape s;
    s.weighted = false;
    for (const int64_t tokens : {1, 6}) {
        const auto expected = without_cache(s, 10, tokens);
        reset();
        ModelGpu gpu;
        const CacheSize size("256KiB");
        EXPECT_LT(difference(Model(s, &gpu).run(10, tokens), expected), FLOAT_ERROR) << tokens;
        EXPECT_GT(stats().hits, 0u);
    }
}
TEST(CacheExactness, OneExpertAndManyExperts) {
    for (const int64_t experts : {1, 2, 512}) {
        Shape s;
        s.experts = experts;
        s.used = std::min<int64_t>(experts, 8);
        s.embd = 32, s.ff = 32, s.layers = 2;
        const auto expected = without_cache(s, 8, 2);
        reset();
        ModelGpu gpu;
        const CacheSize size("1MiB");
        EXPECT_LT(difference(Model(s, &gpu).run(8, 2), expected), FLOAT_ERROR) << experts;
        EXPECT_GT(stats().hits, 0u) << experts;
    }
}
TEST(CacheExactness, IdsOutOfRangeGiveZeroRows) {
    Shape s;
    s.weighted = false;
    ModelGpu gpu;
    const CacheSize size("64MiB");
    Model m(s, &gpu);
    m.run(20, 1);
    for (const std::vector<int32_t> & ids : {std::vector<int32_t>{3, -1}, {8, 3}, {-5, 1 << 30}, {2, 3, -1, 4}}) {
        const auto out = m.layer(1, ids, 5);
        for (size_t i = 0; i < ids.size(); ++i) {
            double sum = 0;
            for (size_t j = 0; j < us(s.embd); ++j) {
                sum += std::fabs(out[i * us(s.embd) + j]);
            }
            EXPECT_EQ(sum != 0, ids[i] >= 0 && ids[i] < 8) << ids[i];
        }
    }
}
TEST(CacheExactness, TensorsLargerThanABufferOfTheGpu) {
    const Shape s;
    const auto expected = without_cache(s, 16, 4);
    reset();
    ModelGpuOptions o;
    o.max_buffer = 4 * 64 * 96 * 2;  // three experts of a matrix, and the spare one
    ModelGpu gpu(o);
    const CacheSize size("512KiB");  // 14 experts
    Model m(s, &gpu);
    EXPECT_LT(difference(m.run(16, 4), expected), FLOAT_ERROR);
    EXPECT_EQ(stats().slots, 14u);
    EXPECT_EQ(gpu.backends(), 2 * 5) << "3 + 3 + 3 + 3 + 2: to compute, and to upload";
    EXPECT_GT(stats().hits, 0u);
}

// Experts in VRAM beside a GPU that has too little memory, cannot do it, or fails.
#include "cached_model.h"

using namespace moe_test;
using namespace moe_test::cached;

TEST(CacheFailures, LessMemoryThanTheGpuSaid) {
    const Shape s;
    const auto expected = without_cache(s, 16, 1);
    reset();
    ModelGpu gpu;
    gpu.fail_allocations_above(8 * 3 * 64 * 96 * 2);  // 7 experts of all matrices
    const CacheSize size("64MiB");
    LogCatcher log;
    Model m(s, &gpu);
    EXPECT_LT(difference(m.run(16, 1), expected), FLOAT_ERROR);
    EXPECT_GT(stats().slots, 2u);
    EXPECT_NE(log.text().find("Model0: less memory than it said"), std::string::npos) << log.text();
}
TEST(CacheFailures, NoMemoryAtAll) {
    const Shape s;
    const auto expected = without_cache(s, 6, 1);
    ModelGpu gpu;
    gpu.fail_allocations_above(100);
    const CacheSize size("64MiB");
    EXPECT_EQ(difference(Model(s, &gpu).run(6, 1), expected), 0);
    EXPECT_EQ(text(), "off: no room for an expert in VRAM");
    EXPECT_EQ(gpu.used(), 0u);
}
TEST(CacheFailures, TypesThatTheGpuLacksStayOnTheCpu) {
    const Shape s;
    const auto expected = without_cache(s, 6, 1);
    ModelGpuOptions o;
    o.supports = [](const ggml_tensor * op) { return op->op != GGML_OP_MUL_MAT_ID; };
    ModelGpu gpu(o);
    const CacheSize size("64MiB");
    LogCatcher log;
    EXPECT_EQ(difference(Model(s, &gpu).run(6, 1), expected), 0);
    EXPECT_NE(log.text().find("cannot hold or compute experts of this type and shape"), std::string::npos);
    EXPECT_EQ(gpu.used(), 0u);
}
// A larger batch needs memory of its own, long after the cache was opened.
TEST(CacheFailures, NoMemoryForALargerBatch) {
    const Shape s;
    const auto first = without_cache(s, 20, 1), second = without_cache(s, 2, 40, 3);
    reset();
    ModelGpu gpu;
    const CacheSize size("64MiB");
    LogCatcher log;
    Model m(s, &gpu);
    EXPECT_LT(difference(m.run(20, 1), first), FLOAT_ERROR);
    EXPECT_GT(stats().resident, 12u);
    gpu.fail_allocations_above(4096);
    EXPECT_LT(difference(m.run(2, 40, 3), second), FLOAT_ERROR);
    EXPECT_EQ(stats().failures, 1u);
    EXPECT_EQ(text(), "off: a GPU failed");
    EXPECT_EQ(log.warnings(), 1) << log.text();
    EXPECT_EQ(gpu.used(), 0u) << "its memory is given back";
    EXPECT_EQ(cache_bytes(), 0u);
    EXPECT_EQ(stats().resident, 0u);
}
// No bank computes them, so that the cache does not see them.
TEST(CacheFailures, ExpertsThatCannotBeKept) {
    Shape scaled, ungated;
    scaled.scaled = true;
    ungated.gated = false;
    for (const Shape & s : {scaled, ungated}) {
        const auto expected = without_cache(s, 6, 1);
        EXPECT_EQ(text(), "off");
        ModelGpu gpu;
        const CacheSize size("64MiB");
        Model m(s, &gpu);
        EXPECT_EQ(difference(m.run(6, 1), expected), 0);
        EXPECT_EQ(text(), "off: experts of this kind cannot be kept in VRAM");
        EXPECT_EQ(gpu.used(), 0u);
        Model usual(Shape(), &gpu);
        usual.run(6, 1);
        const std::string open = text();
        EXPECT_NE(open.find("of 24 experts in VRAM"), std::string::npos) << open;
        Model(s, &gpu).run(2, 1);
        EXPECT_EQ(text(), open) << "another model's cache is open";
    }
}
// A GPU that refuses from some moment on: that very batch is finished by the CPU, and all later ones.
TEST(CacheFailures, AGpuThatFails) {
    for (const bool weighted : {true, false}) {
        for (const int64_t tokens : {1, 5}) {
            Shape s;
            s.weighted = weighted;
            const auto first = without_cache(s, 20, tokens), second = without_cache(s, 4, tokens, 3);
            reset();
            ModelGpu gpu;
            const CacheSize size("64MiB");
            LogCatcher log;
            Model m(s, &gpu);
            EXPECT_LT(difference(m.run(20, tokens), first), FLOAT_ERROR);
            EXPECT_GT(stats().resident, 12u);
            gpu.fail_graphs(true);
            EXPECT_LT(difference(m.run(4, tokens, 3), second), FLOAT_ERROR);
            EXPECT_EQ(stats().failures, 1u);
            EXPECT_EQ(text(), "off: a GPU failed");
            EXPECT_EQ(log.warnings(), 1);
            EXPECT_EQ(gpu.used(), 0u) << "its memory is given back";
            EXPECT_EQ(cache_bytes(), 0u);
            EXPECT_EQ(stats().resident, 0u);
            EXPECT_EQ(stats().slots, 0u);
        }
    }
}
// Some backends report a lost device by an exception, as Vulkan's does: while something is uploaded, by a thread of the
// plugin's own, or when a result is waited for.
TEST(CacheFailures, AGpuThatIsLost) {
    for (const bool uploading : {true, false}) {
        for (const int64_t tokens : {1, 5}) {
            Shape s;
            // More than are used before the GPU is lost: misses have free slots, whatever an upload costs.
            s.experts = 32;
            const auto first = without_cache(s, 4, tokens), second = without_cache(s, 12, tokens, 3);
            reset();
            ModelGpu gpu;
            const CacheSize size("64MiB");
            LogCatcher log;
            Model m(s, &gpu);
            EXPECT_LT(difference(m.run(4, tokens), first), FLOAT_ERROR);
            EXPECT_GT(stats().resident, 0u);
            uploading ? gpu.throw_on_uploads() : gpu.throw_on_waits();
            EXPECT_LT(difference(m.run(12, tokens, 3), second), FLOAT_ERROR);
            EXPECT_EQ(stats().failures, 1u);
            EXPECT_EQ(text(), uploading ? "off: an upload failed" : "off: a GPU failed");
            EXPECT_NE(log.text().find("the modelled GPU was lost"), std::string::npos);
            EXPECT_NE(log.text().find("experts are no longer kept in VRAM"), std::string::npos);
            EXPECT_EQ(log.warnings(), 1);
            EXPECT_EQ(gpu.used(), 0u);
            EXPECT_EQ(gpu.backends(), 0);
            EXPECT_EQ(cache_bytes(), 0u);
            EXPECT_EQ(stats().resident, 0u);
        }
    }
}
TEST(CacheFailures, AGpuThatIsLostBeforeItsCacheIsOpened) {
    const Shape s;
    const auto expected = without_cache(s, 8, 1);
    ModelGpuOptions o;
    o.memory = size_t(1) << 31;
    ModelGpu gpu(o);
    gpu.throw_on_waits();
    const CacheSize size("auto");  // tries the GPU first
    EXPECT_EQ(difference(Model(s, &gpu).run(8, 1), expected), 0);
    EXPECT_EQ(text(), "off: Model0 failed when it was tried");
    EXPECT_EQ(cache_bytes(), 0u);
    EXPECT_EQ(gpu.used(), 0u);
}
// A program may free the weights before the backend, while they are being uploaded.
TEST(CacheFailures, WeightsThatGoBeforeTheBackend) {
    const Shape s;
    ModelGpuOptions o;
    o.link_bytes_per_s = 1e6;  // 37 ms an expert
    ModelGpu gpu(o);
    const CacheSize size("64MiB");
    Model m(s, &gpu);
    for (int i = 0; i < 4; ++i) {
        m.layer(0, {1, 2}, 1);
    }
    m.free_weights();
    const uint64_t copied = gpu.link_bytes();
    m.cache().wait_for_uploads();
    EXPECT_EQ(gpu.link_bytes(), copied) << "nothing is read from weights that are gone";
    m.free_backend();
    EXPECT_EQ(gpu.used(), 0u);
}

// Experts in VRAM beside a GPU: which are there, what is counted and told, how large the cache is.
#include "cached_model.h"

using namespace moe_test;
using namespace moe_test::cached;

TEST(Cache, AllExpertsInVram) {
    const Shape s;
    const auto expected = without_cache(s, 20, 1);
    reset();
    ModelGpu gpu;
    const CacheSize size("64MiB");
    Model m(s, &gpu);
    EXPECT_LT(difference(m.run(20, 1), expected), FLOAT_ERROR);
    const auto n = stats();
    EXPECT_EQ(n.slots, 24u);
    EXPECT_EQ(n.experts, 24u);
    EXPECT_EQ(n.uploads, n.resident) << "nothing is ever evicted";
    m.run(10, 1, 7);
    reset();
    m.run(4, 1, 9);
    EXPECT_EQ(stats().hits, 4u * 3 * 2) << "every look-up";
    EXPECT_EQ(stats().lookups, 4u * 3 * 2);
}
TEST(Cache, EveryByteIsCountedAndGivenBack) {
    const Shape s;
    EXPECT_EQ(cache_bytes(), 0u);
    ModelGpu gpu;
    {
        const CacheSize size("256KiB");
        Model m(s, &gpu);
        m.run(12, 1);
        EXPECT_EQ(cache_bytes(), gpu.used());
        EXPECT_EQ(stats().slots, 256u * 1024 / m.expert_bytes(0));
        const size_t weights = (stats().slots + 1) * m.expert_bytes(0);
        EXPECT_GE(cache_bytes(), weights);
        EXPECT_LT(cache_bytes(), weights + (64u << 10)) << "products need little";
        m.run(2, 33);
        EXPECT_EQ(cache_bytes(), gpu.used()) << "a batch needs more";
        EXPECT_GT(gpu.backends(), 0);
    }
    EXPECT_EQ(cache_bytes(), 0u);
    EXPECT_EQ(gpu.used(), 0u);
    EXPECT_EQ(gpu.backends(), 0);
    EXPECT_EQ(stats().resident, 0u);
}
TEST(Cache, WhatItDidIsLoggedAtTheEnd) {
    reset();
    ModelGpu gpu;
    const CacheSize size("64MiB");
    LogCatcher log;
    {
        const Shape s;
        Model m(s, &gpu);
        m.run(2, 1);
        m.layer(0, {1, 2}, 1);  // the cache opens: two misses, both uploaded
        m.cache().wait_for_uploads();
        m.layer(0, {1, 2}, 1);
        m.layer(0, {1, 3}, 1);  // one more, whose upload nobody waits for
    }
    EXPECT_NE(log.text().find("experts in VRAM: 3 of 6 look-ups were hits, 2 uploads (0.1 MiB)"), std::string::npos)
        << log.text();
    LogCatcher quiet;
    { const Model none(Shape{}); }
    EXPECT_EQ(quiet.text().find("look-ups"), std::string::npos) << "no cache, no line";
}
TEST(Cache, ResidentsAreToldByLayerAndExpert) {
    const Shape s;
    ModelGpu gpu;
    const CacheSize size("64MiB");
    Model m(s, &gpu);
    const auto residents = [] {
        const auto get = proc<ggml_moe_expert_stats_t>("ggml_moe_experts");
        std::vector<ggml_moe_expert_stat> all(get(nullptr, 0));
        get(all.data(), all.size());
        std::vector<std::pair<int, int>> r;
        for (const auto & e : all) {
            if (e.in_vram) r.emplace_back(e.layer, e.expert);
        }
        return r;
    };
    for (int i = 0; i < 4; ++i) {  // the cache opens, then the misses of the last two are uploaded
        m.layer(0, {1, 2}, 1);
        m.layer(1, {3, 4}, 1);
        m.cache().wait_for_uploads();
    }
    m.layer(2, {0, 1}, 1);  // a layer that was not there when the cache was opened
    using List = std::vector<std::pair<int, int>>;
    EXPECT_EQ(residents(), (List{{0, 1}, {0, 2}, {1, 3}, {1, 4}}));
    m.free_backend();
    EXPECT_EQ(residents(), List());
}
TEST(Cache, OnlyLayersOnAGpu) {
    const Shape s;
    const auto expected = without_cache(s, 12, 1);
    reset();
    ModelGpu gpu;
    const CacheSize size("64MiB");
    Model m(s, &gpu, 1);
    EXPECT_LT(difference(m.run(12, 1), expected), FLOAT_ERROR);
    EXPECT_EQ(stats().experts, 8u);
    Model none(s);
    none.run(4, 1);
    EXPECT_EQ(text(), "off: no GPU of this machine with memory of its own computes the layers around the experts");
}
TEST(Cache, EachGpuGetsTheExpertsOfItsLayers) {
    const Shape s;
    const auto expected = without_cache(s, 16, 3);
    reset();
    ModelGpu a, b;
    const CacheSize size("340KiB");
    Model m(s, &a);
    m.set_gpu(2, b);
    EXPECT_LT(difference(m.run(16, 3), expected), FLOAT_ERROR);
    EXPECT_GT(a.graphs(), 0u);
    EXPECT_GT(b.graphs(), 0u);
    EXPECT_EQ(cache_bytes(), a.used() + b.used());
    EXPECT_EQ(cache_bytes(&a), a.used());
    EXPECT_EQ(cache_bytes(&b), b.used());
    EXPECT_GT(a.used(), b.used()) << "two layers of three";
}
TEST(Cache, AWarmUpOfAllExpertsCountsForNothing) {
    Shape s;
    s.used = s.experts;
    ModelGpu gpu;
    const CacheSize size("64MiB");
    reset();
    Model m(s, &gpu);
    m.run(6, 1);
    EXPECT_EQ(stats().lookups, 0u);
    EXPECT_EQ(stats().resident, 0u);
}

// ---- auto ----
TEST(CacheAuto, TakesWhatIsFreeLessAMargin) {
    Shape s;
    s.embd = 512, s.ff = 2048, s.experts = 4;  // 6 MiB an expert: the CPU takes long enough to lose in any case
    ModelGpuOptions o;
    o.memory = (512u << 20) + 10u * 3 * 512 * 2048 * 2;
    o.launch_s = 1e-9, o.memory_bytes_per_s = 1e15;
    ModelGpu gpu(o);
    const CacheSize size("auto");
    Model m(s, &gpu);
    m.run(6, 1);
    EXPECT_EQ(stats().slots, 10u);
    Model more(s, &gpu);
    more.run(6, 1);
    EXPECT_EQ(text(), "off: no room for an expert in VRAM") << "the first has it";
}
TEST(CacheAuto, OffWhereTheGpuIsSlower) {
    const Shape s;
    const auto expected = without_cache(s, 8, 1);
    ModelGpuOptions o;
    o.memory = size_t(1) << 31;
    o.launch_s = 0.05, o.memory_bytes_per_s = 1e15;
    ModelGpu gpu(o);
    const CacheSize size("auto");
    EXPECT_EQ(difference(Model(s, &gpu).run(8, 1), expected), 0);
    EXPECT_EQ(text(), "off: Model0 is slower at experts than the CPU");
    EXPECT_EQ(gpu.used(), 0u);
}
TEST(CacheAuto, OffWhereNothingRunsInTheBackgroundOrMemoryIsShared) {
    const Shape s;
    ModelGpuOptions o;
    o.memory = size_t(1) << 31;
    o.async = false;
    ModelGpu sync(o);
    const CacheSize size("auto");
    Model(s, &sync).run(8, 1);
    EXPECT_EQ(text(), "off: Model0 computes nothing in the background");
    o.async = true;
    o.integrated = true;
    ModelGpu shared(o);
    Model(s, &shared).run(8, 1);
    EXPECT_EQ(text(), "off: no GPU of this machine with memory of its own computes the layers around the experts");
}
// llama.cpp's RPC backend claims operations that the GPU over there may lack.
TEST(CacheAuto, OffOnAnotherMachineAloneOrBesideAGpuHere) {
    Shape s;
    s.embd = 256, s.ff = 1024, s.experts = 4;  // large enough for the CPU to lose in any case
    ModelGpuOptions o;
    o.memory = size_t(1) << 31;
    o.launch_s = 1e-9, o.memory_bytes_per_s = 1e15;
    ModelGpu here(o);
    o.backend_name = "RPC";
    ModelGpu remote(o);
    const CacheSize size("auto");
    Model(s, &remote).run(6, 1);
    EXPECT_EQ(text(), "off: no GPU of this machine with memory of its own computes the layers around the experts");
    Model both(s, &remote);
    both.set_gpu(1, here);
    both.run(6, 1);
    EXPECT_EQ(text(), "4 of 4 experts in VRAM") << "those of one layer";
    EXPECT_EQ(remote.used(), 0u);
}
TEST(CacheAuto, SizesThatAreAskedForAreTakenEverywhere) {
    const Shape s;
    ModelGpuOptions o;
    o.async = false;
    o.integrated = true;
    o.pinned_memory = false;
    o.backend_name = "RPC";
    const auto expected = without_cache(s, 12, 2);
    reset();
    ModelGpu gpu(o);
    const CacheSize size("256KiB");
    EXPECT_LT(difference(Model(s, &gpu).run(12, 2), expected), FLOAT_ERROR);
    EXPECT_GT(stats().hits, 0u);
}

// ---- what the environment says ----
TEST(CacheSetting, Sizes) {
    using S = moe::CacheSetting;
    const auto parse = [](const char * text) -> std::optional<std::pair<S::Kind, size_t>> {
        S s;
        if (!moe::parse_cache_setting(text, s)) return std::nullopt;
        return std::make_pair(s.kind, s.bytes);
    };
    const auto is = [](S::Kind k, size_t n) { return std::make_optional(std::make_pair(k, n)); };
    EXPECT_EQ(parse("auto"), is(S::Auto, 0));
    EXPECT_EQ(parse("off"), is(S::Off, 0));
    EXPECT_EQ(parse("0"), is(S::Off, 0));
    EXPECT_EQ(parse("0GiB"), is(S::Off, 0));
    EXPECT_EQ(parse("1"), is(S::Size, 1));
    EXPECT_EQ(parse("4096B"), is(S::Size, 4096));
    EXPECT_EQ(parse("3K"), is(S::Size, 3072));
    EXPECT_EQ(parse("512M"), is(S::Size, size_t(512) << 20));
    EXPECT_EQ(parse("512MiB"), is(S::Size, size_t(512) << 20));
    EXPECT_EQ(parse("4GiB"), is(S::Size, size_t(4) << 30));
    EXPECT_EQ(parse("1.5G"), is(S::Size, size_t(3) << 29));
    EXPECT_EQ(parse("auto:3K"), is(S::Auto, 3072)) << "as auto decides, and no more than that";
    EXPECT_EQ(parse("auto:0"), is(S::Off, 0));
    for (const char * wrong : {"", "on", "Auto", "-1", "+1", " 1", "1 G", "1GB", "GiB", "1e99", "nan", "inf", "4GiBx",
                               "auto:", "auto:auto", "auto:off:", "auto:auto:1", "auto1"}) {
        EXPECT_EQ(parse(wrong), std::nullopt) << wrong;
    }
}
TEST(CacheSetting, NonsenseIsAutoWithAWarning) {
    LogCatcher log;
    const CacheSize nonsense("much");
    EXPECT_EQ(moe::cache_setting().kind, moe::CacheSetting::Auto);
    EXPECT_NE(log.text().find("GGML_MOE_CACHE=much"), std::string::npos);
}

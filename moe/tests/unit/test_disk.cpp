// Experts of a model that is larger than the RAM it may take: read from a file when they are needed.
#include "disk/residency.h"
#include "disk/setting.h"
#include "log_catcher.h"
#include "mapped_model.h"

#include <chrono>
#include <thread>

using namespace mapped_model;

TEST_F(Disk, AModelThatFitsIsLeftAsItIs) {
    const Model model;
    EXPECT_EQ(Context(model).layer(0, {1, 2}), Context::expected(model, 0, {1, 2}));
    ggml_moe_disk_stats s{};
    EXPECT_STREQ(text(s), "off: the model fits in RAM");
    EXPECT_EQ(s.ram_bytes, 0u);
    EXPECT_EQ(s.lookups, 0u);
    EXPECT_EQ(faults.direct_reads() + faults.buffered_reads(), 0);
}

// All of it fits in what is free.
TEST_F(Disk, OnIsOnForAModelThatFits) {
    const Ram ram("on");
    const Model model;
    Context context(model);
    EXPECT_EQ(context.layer(0, {1, 2}), Context::expected(model, 0, {1, 2}));
    EXPECT_EQ(stats().read_bytes, 6 * EXPERT_BYTES);
    EXPECT_EQ(stats().ram_bytes, MATRICES * BLOCK);
}

TEST_F(Disk, OffIsOff) {
    const Ram ram("off");
    const Model model;
    EXPECT_EQ(Context(model).layer(0, {1, 2}), Context::expected(model, 0, {1, 2}));
    ggml_moe_disk_stats s{};
    EXPECT_STREQ(text(s), "off");
    EXPECT_EQ(s.lookups, 0u);
}

// Two experts of three matrices are read, and found the next time.
TEST_F(Disk, WhatIsThereIsNotReadAgain) {
    const Ram ram(MATRICES / 2 * BLOCK);
    const Model model;
    Context context(model);
    EXPECT_EQ(context.layer(1, {5, 3}), Context::expected(model, 1, {5, 3}));
    EXPECT_EQ(stats().lookups, 6u);
    EXPECT_EQ(stats().hits, 0u);
    EXPECT_EQ(stats().read_bytes, 6 * EXPERT_BYTES);
    EXPECT_EQ(context.layer(1, {3, 6}), Context::expected(model, 1, {3, 6}));
    EXPECT_EQ(stats().lookups, 12u);
    EXPECT_EQ(stats().hits, 3u);
    EXPECT_EQ(stats().read_bytes, 9 * EXPERT_BYTES);
    EXPECT_EQ(stats().resident_bytes, 9 * BLOCK);
    EXPECT_EQ(stats().expert_bytes, MATRICES * EXPERT_BYTES);
}

// Room for four experts of one layer: the one that is used all the time stays, whatever comes between.
TEST_F(Disk, WhatIsUsedMostStays) {
    const Ram ram(13 * EXPERT_BYTES);  // 12 blocks: shares are of the experts' bytes, rounded down
    const Model model;
    Context context(model);
    for (const int32_t other : {1, 2, 3, 4, 5, 6, 7}) {
        EXPECT_EQ(context.layer(0, {0, other}), Context::expected(model, 0, {0, other}));
    }
    EXPECT_EQ(stats().hits, 6u * 3);  // expert 0, but for the first time
    EXPECT_LE(stats().resident_bytes, 13 * BLOCK);
}

TEST_F(Disk, PromptsAreTheSameBitsWhateverIsThere) {
    for (const size_t blocks : {size_t{30}, MATRICES / 2, MATRICES * 2}) {
        const Ram ram(blocks * BLOCK);
        const Model model;
        Context context(model);
        for (int pass = 0; pass < 3; ++pass) {
            for (int layer = 0; layer < LAYERS; ++layer) {
                EXPECT_EQ(context.layer(layer, prompt(16)), Context::expected(model, layer, prompt(16)))
                    << blocks << " blocks, layer " << layer;
            }
        }
    }
}

// Prompts need every layer in turn, so that least recently used would find nothing. Three of four layers fit; the
// fourth, and the eighth that is read ahead, have to be read, and what the first layer pushes out when nothing is done
// yet.
TEST_F(Disk, PromptsFindAgainWhatFits) {
    const Ram ram(MATRICES * 3 / 4 * EXPERT_BYTES);
    const Model model;
    Context context(model);
    const auto read_by_a_pass = [&] {
        const uint64_t before = stats().read_bytes;
        for (int layer = 0; layer < LAYERS; ++layer) {
            context.layer(layer, prompt(16));
        }
        return (stats().read_bytes - before) / EXPERT_BYTES;
    };
    EXPECT_GE(read_by_a_pass(), MATRICES);
    for (int pass = 0; pass < 3; ++pass) {
        EXPECT_LE(read_by_a_pass(), MATRICES * 2 / 3) << pass;
    }
}

// What does not fit beside the rest of its own layer is read through the mapping.
TEST_F(Disk, LessRamThanALayerNeeds) {
    const Ram ram(8 * EXPERT_BYTES);
    const Model model;
    Context context(model);
    for (int layer = 0; layer < LAYERS; ++layer) {
        EXPECT_EQ(context.layer(layer, prompt(16)), Context::expected(model, layer, prompt(16)));
    }
    EXPECT_LE(stats().resident_bytes, 8 * BLOCK);
}

// Nobody touches a page of the mapping that is gone, which would end the process.
TEST_F(Disk, AFileThatBecomesShorterFailsTheCallAlone) {
    for (const char * ram_setting : {"auto", "off", "on"}) {
        const Ram ram(ram_setting);
        Model model;
        Context context(model);
        const auto before = context.layer(LAYERS - 1, {6, 7});
        const uint64_t failures = proc<ggml_moe_last_failure_t>("ggml_moe_last_failure")(nullptr, 0);
        model.cut();
        LogCatcher log;
        context.fails(LAYERS - 1, {6, 7});
        const std::string reason =
            model.path() + " became shorter while it is in use: restore it, or load the model again";
        EXPECT_NE(log.text().find(reason), std::string::npos) << log.text();
        EXPECT_EQ(last_failure(), reason) << ram_setting;
        EXPECT_EQ(proc<ggml_moe_last_failure_t>("ggml_moe_last_failure")(nullptr, 0), failures + 1);
        model.restore();
        EXPECT_EQ(context.layer(LAYERS - 1, {6, 7}), before) << ram_setting;
    }
}

// Another model's context in the same process does not fail with it, once that model is gone.
TEST_F(Disk, AFileThatIsNotMappedAnyMoreMayBecomeShorter) {
    const Model model;
    {
        Model other("other");
        Context(other).layer(0, {1, 2});
        other.cut();
        Context(model).fails(0, {1, 2});
    }
    EXPECT_EQ(Context(model).layer(0, {1, 2}), Context::expected(model, 0, {1, 2}));
}

TEST_F(Disk, AnExpertThatCannotBeReadFailsTheCallAlone) {
    const Ram ram(MATRICES / 2 * BLOCK);
    const Model model;
    Context context(model);
    const auto before = context.layer(LAYERS - 1, {0, 0});
    faults.fail_reads(EIO);
    LogCatcher log;
    context.fails(LAYERS - 1, {0, 7});
    const std::string reason = model.path() + ": expert 7 of layer 643 could not be read: Input/output error";
    EXPECT_EQ(last_failure(), reason);
    EXPECT_NE(log.text().find(reason), std::string::npos) << log.text();
    EXPECT_EQ(stats().failures, 3u) << "of three matrices";
    EXPECT_EQ(context.layer(LAYERS - 1, {0, 0}), before) << "what is in RAM";
    context.fails(LAYERS - 1, {0, 7});  // what failed is not taken for read
    faults.fail_reads(0);
    EXPECT_EQ(context.layer(LAYERS - 1, {0, 7}), Context::expected(model, LAYERS - 1, {0, 7}));
}

// Between the look at its length and the read.
TEST_F(Disk, AFileThatEndsWhileItIsReadFailsTheCallAlone) {
    const Ram ram(MATRICES / 2 * BLOCK);
    const Model model;
    faults.end_files();
    Context(model).fails(0, {3, 3});
    EXPECT_EQ(last_failure(), model.path() + ": expert 3 of layer 640 could not be read: the file became shorter");
}

// What was only read ahead has time until it is needed: it is read again then.
TEST_F(Disk, WhatIsReadAheadMayFail) {
    const Ram ram(MATRICES * 2 * BLOCK);
    const Model model;
    Context context(model);
    const auto first = Context::expected(model, 0, prompt(16));
    for (const int32_t e : {0, 2, 4, 6}) {  // each needs too few to be taken for a prompt
        context.layer(0, {e, e + 1});
    }
    faults.fail_reads(EIO);
    const int before = faults.direct_reads() + faults.buffered_reads();
    EXPECT_EQ(context.layer(0, prompt(16)), first) << "all of it is there, and the next layer's is read ahead";
    EXPECT_EQ(context.layer(0, prompt(16)), first);
    const auto n_reads = [&] { return faults.direct_reads() + faults.buffered_reads(); };
    for (int i = 0; i < 10000 && n_reads() == before; ++i) {  // they are other threads' work
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_GT(n_reads(), before);
    const auto next = Context::expected(model, 1, prompt(16));
    faults.fail_reads(0);
    EXPECT_EQ(context.layer(1, prompt(16)), next);
    EXPECT_EQ(stats().failures, 0u);
}

TEST_F(Disk, ReadsThatGiveLessThanWasAskedGoOn) {
    const Ram ram(MATRICES / 2 * BLOCK);
    const Model model;
    faults.shorten_reads(4096);
    EXPECT_EQ(Context(model).layer(1, {5, 3}), Context::expected(model, 1, {5, 3}));
    EXPECT_GE(faults.direct_reads() + faults.buffered_reads(), 6 * int(EXPERT_BYTES / 4096));
}

// NFS and FUSE may refuse direct reads when a file is opened, and others when it is read.
TEST_F(Disk, FileSystemsWithoutDirectReads) {
    const Ram ram(MATRICES / 2 * BLOCK);
    for (const bool opens : {false, true}) {
        if (opens)
            faults.refuse_to_read_directly();
        else
            faults.refuse_to_open_directly();
        const int before = faults.buffered_reads();
        const Model model;
        EXPECT_EQ(Context(model).layer(1, {5, 3}), Context::expected(model, 1, {5, 3})) << opens;
        EXPECT_EQ(stats().resident_bytes, 6 * BLOCK);
        EXPECT_GE(faults.buffered_reads() - before, 6) << "all of them, through the page cache";
    }
}

TEST_F(Disk, AnotherModelComesAfterTheFirst) {
    const Ram ram(MATRICES / 2 * BLOCK);
    for (int i = 0; i < 2; ++i) {
        const Model model;
        EXPECT_EQ(Context(model).layer(0, {1, 2}), Context::expected(model, 0, {1, 2}));
        EXPECT_EQ(stats().resident_bytes, 6 * BLOCK);
    }
    EXPECT_EQ(stats().resident_bytes, 0u);
    EXPECT_EQ(stats().ram_bytes, 0u);
}

TEST(RamSetting, Texts) {
    moe::RamSetting s;
    EXPECT_TRUE(moe::parse_ram_setting("auto", s));
    EXPECT_EQ(s.kind, moe::RamSetting::Auto);
    EXPECT_TRUE(moe::parse_ram_setting("on", s));
    EXPECT_EQ(s.kind, moe::RamSetting::On);
    EXPECT_TRUE(moe::parse_ram_setting("off", s));
    EXPECT_EQ(s.kind, moe::RamSetting::Off);
    EXPECT_TRUE(moe::parse_ram_setting("1.5GiB", s));
    EXPECT_EQ(s.kind, moe::RamSetting::Size);
    EXPECT_EQ(s.bytes, size_t{3} << 29);
    EXPECT_TRUE(moe::parse_ram_setting("0", s));
    EXPECT_EQ(s.kind, moe::RamSetting::Off);
    for (const char * text : {"", "some", "4 GiB", "GiB", "-1"}) {
        EXPECT_FALSE(moe::parse_ram_setting(text, s)) << text;
    }
}

// Half of a use is forgotten in 16 tokens; a batch counts as its tokens would one after another.
TEST(Uses, Decay) {
    moe::Uses uses(2);
    const int32_t first[] = {1, 0}, second[] = {0, 1};
    uses.add(first, 1);
    EXPECT_FLOAT_EQ(uses.of(0), 1);
    EXPECT_FLOAT_EQ(uses.of(1), 0);
    for (int i = 0; i < 16; ++i) {
        uses.add(second, 1);
    }
    EXPECT_NEAR(uses.of(0), 0.5, 1e-5);
    moe::Uses at_once(2);
    const int32_t sixteen[] = {0, 16};
    at_once.add(sixteen, 16);
    EXPECT_NEAR(at_once.of(1), uses.of(1), 1e-4);
}

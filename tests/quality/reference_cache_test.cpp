// Kept predictions come back byte for byte or not at all, and the folder stays within its limit.
#include "quality/reference_cache.h"

#include "base/error.h"
#include "temp_dir.h"

#include <gtest/gtest.h>
#include <chrono>
#include <fstream>

namespace shimmy::quality {
namespace {

constexpr uint64_t LIMIT = 1 << 20;

ReferenceChunk chunk(int seed) {
    return {{seed, 2, 3}, {0.5, seed * 0.25}, std::string(100, static_cast<char>(seed)), {{1, 2, {0, 1, 2, 3}}}};
}

// Of `n` chunks, in the cache.
void keep(ReferenceCache & cache, const Json & settings, int n) {
    const auto file = cache.create(settings, {{"n_chunks", n}}, 1000);
    for (int i = 0; i < n; ++i)
        file->append(chunk(i));
    file->commit();
}

fs::path only_file(const fs::path & dir) {
    fs::path found;
    for (const auto & entry : fs::directory_iterator(dir)) {
        EXPECT_TRUE(found.empty()) << entry.path();
        found = entry.path();
    }
    return found;
}

TEST(ReferenceCache, GivesBackWhatWasKept) {
    const TempDir dir;
    ReferenceCache cache(dir.path(), LIMIT);
    keep(cache, {{"text", "a"}}, 3);
    EXPECT_EQ(cache.find({{"text", "b"}}), nullptr);
    const auto file = cache.find({{"text", "a"}});
    ASSERT_NE(file, nullptr);
    ASSERT_EQ(file->n_chunks(), 3U);
    for (const int pass : {1, 2}) {
        file->rewind();
        for (int i = 0; i < 3; ++i) {
            const ReferenceChunk read = file->read();
            EXPECT_EQ(read.tokens, chunk(i).tokens) << pass;
            EXPECT_EQ(read.nll, chunk(i).nll);
            EXPECT_EQ(read.rows, chunk(i).rows);
            EXPECT_EQ(read.routing.front().experts, chunk(i).routing.front().experts);
        }
        EXPECT_THROW(file->read(), Error);
    }
}

TEST(ReferenceCache, AnUnfinishedFileIsNotThere) {
    const TempDir dir;
    ReferenceCache cache(dir.path(), LIMIT);
    {
        const auto file = cache.create({{"text", "a"}}, {{"n_chunks", 2}}, 1000);
        file->append(chunk(1));
    }
    EXPECT_EQ(cache.find({{"text", "a"}}), nullptr);
    EXPECT_TRUE(fs::is_empty(dir.path()));
}

TEST(ReferenceCache, DamageIsNoticedWhereverItIs) {
    const TempDir dir;
    ReferenceCache cache(dir.path(), LIMIT);
    keep(cache, {{"text", "a"}}, 2);
    const std::string whole = read_file(only_file(dir.path()));
    for (size_t at = 0; at < whole.size(); at += 7) {
        std::string damaged = whole;
        damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
        write_file_atomic(only_file(dir.path()), damaged);
        ASSERT_EQ(cache.find({{"text", "a"}}), nullptr) << "byte " << at;
        ASSERT_NE(cache.note().find("damaged"), std::string::npos);
        ASSERT_TRUE(fs::is_empty(dir.path())) << "the damaged file is removed";
        keep(cache, {{"text", "a"}}, 2);
    }
    for (const size_t cut : {size_t{1}, size_t{50}, whole.size() / 2, whole.size() - 20}) {
        fs::resize_file(only_file(dir.path()), whole.size() - cut);
        ASSERT_EQ(cache.find({{"text", "a"}}), nullptr) << cut << " bytes short";
        keep(cache, {{"text", "a"}}, 2);
    }
    EXPECT_NE(cache.find({{"text", "a"}}), nullptr);
}

TEST(ReferenceCache, TheLongestUnusedMakesRoom) {
    const TempDir dir;
    ReferenceCache cache(dir.path(), 2500);
    keep(cache, {{"text", "a"}}, 1);
    keep(cache, {{"text", "b"}}, 1);
    for (const auto & entry : fs::directory_iterator(dir.path()))
        fs::last_write_time(entry.path(), fs::file_time_type::clock::now() - std::chrono::hours(1));
    EXPECT_NE(cache.find({{"text", "a"}}), nullptr);  // used now
    for (const auto & entry : fs::directory_iterator(dir.path()))
        fs::resize_file(entry.path(), std::max<uintmax_t>(fs::file_size(entry.path()), 900));
    keep(cache, {{"text", "c"}}, 1);
    size_t n = 0;
    for ([[maybe_unused]] const auto & entry : fs::directory_iterator(dir.path()))
        ++n;
    EXPECT_EQ(n, 2U);
    EXPECT_NE(cache.find({{"text", "c"}}), nullptr);
    EXPECT_EQ(cache.find({{"text", "b"}}), nullptr);
}

TEST(ReferenceCache, WhatIsAboveTheLimitIsUsedAndNotKept) {
    const TempDir dir;
    ReferenceCache cache(dir.path(), 500);
    const auto file = cache.create({{"text", "a"}}, {{"n_chunks", 1}}, 1000);
    EXPECT_NE(cache.note().find("not kept"), std::string::npos);
    file->append(chunk(1));
    file->commit();
    EXPECT_EQ(file->read().tokens, chunk(1).tokens);
    EXPECT_TRUE(fs::is_empty(dir.path()));
}

TEST(ReferenceCache, AFolderThatCannotBeWrittenCostsOnlyTheKeeping) {
    const TempDir dir;
    write_file_atomic(dir / "file", "in the way");
    ReferenceCache cache(dir / "file" / "cache", LIMIT);
    const auto file = cache.create({{"text", "a"}}, {{"n_chunks", 1}}, 1000);
    EXPECT_NE(cache.note().find("not kept"), std::string::npos);
    file->append(chunk(4));
    file->commit();
    EXPECT_EQ(file->read().rows, chunk(4).rows);
}

}  // namespace
}  // namespace shimmy::quality

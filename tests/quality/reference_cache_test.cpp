// Kept predictions come back byte for byte or not at all, and the folder stays within its limit.
#include "quality/reference_cache.h"

#include "base/error.h"
#include "temp_dir.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>
#include <csignal>
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

TEST(ReferenceFile, ThatIsNotThere) {
    const TempDir dir;
    try {
        ReferenceFile((dir / "a.predictions"));
        FAIL() << "there is none";
    } catch (const Error & error) {
        EXPECT_EQ(error.what(), (dir / "a.predictions").string() + ": No such file or directory");
    }
}

// A limit on a file's size stands for a full disk: the chunk is larger than what is buffered.
TEST(ReferenceFile, ThatDoesNotFit) {
    const TempDir dir;
    ReferenceFile file(dir / "a.predictions", {{"n_chunks", 1}});
    rlimit before{};
    ::getrlimit(RLIMIT_FSIZE, &before);
    const auto on_limit = std::signal(SIGXFSZ, SIG_IGN);
    rlimit little = before;
    little.rlim_cur = 8192;
    ::setrlimit(RLIMIT_FSIZE, &little);
    ReferenceChunk large = chunk(1);
    large.rows = std::string(1 << 20, 'x');
    std::string reason;
    try {
        file.append(large);
    } catch (const Error & error) {
        reason = error.what();
    }
    ::setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, on_limit);
    EXPECT_EQ(reason, "the base's predictions do not fit into " + (dir / "a.predictions").string() +
                          " (File too large): use fewer --chunks");
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

TEST(ReferenceCache, TheLimitOnBothSides) {
    const TempDir dir;
    ReferenceCache exactly(dir / "exactly", 1000);
    keep(exactly, {{"text", "a"}}, 1);
    EXPECT_EQ(exactly.note(), "");
    EXPECT_FALSE(fs::is_empty(dir / "exactly"));
    // Of two files of 600 bytes and 800 more, 2000 holds all, and a byte less costs the older one.
    for (const bool room : {true, false}) {
        const fs::path folder = dir / (room ? "room" : "none");
        ReferenceCache cache(folder, room ? 2000 : 1999);
        for (const char * text : {"a", "b"})
            keep(cache, {{"text", text}}, 1);
        auto age = std::chrono::hours(1);
        for (const char * text : {"b", "a"}) {
            const fs::path file = folder / (sha256_hex(Json{{"text", text}}.dump()) + ".predictions");
            ASSERT_TRUE(fs::exists(file));
            fs::resize_file(file, 600);
            fs::last_write_time(file, fs::file_time_type::clock::now() - age);
            age += std::chrono::hours(1);
        }
        write_file_atomic(folder / "other.txt", std::string(5000, 'x'));
        (void)cache.create({{"text", "c"}}, {{"n_chunks", 1}}, 800);
        EXPECT_EQ(fs::exists(folder / (sha256_hex(Json{{"text", "a"}}.dump()) + ".predictions")), room);
        EXPECT_TRUE(fs::exists(folder / (sha256_hex(Json{{"text", "b"}}.dump()) + ".predictions")));
        EXPECT_TRUE(fs::exists(folder / "other.txt")) << "not the cache's";
    }
}

TEST(ReferenceCache, OtherSettingsAndNumbersOfChunksAreDamage) {
    const TempDir dir;
    ReferenceCache cache(dir.path(), LIMIT);
    keep(cache, {{"text", "a"}}, 2);
    const fs::path file = only_file(dir.path());
    fs::rename(file, dir / (sha256_hex(Json{{"text", "b"}}.dump()) + ".predictions"));
    EXPECT_EQ(cache.find({{"text", "b"}}), nullptr);
    EXPECT_NE(cache.note().find("is of other settings"), std::string::npos) << cache.note();
    EXPECT_EQ(cache.find({{"text", "b"}}), nullptr);
    EXPECT_EQ(cache.note(), "") << "of the last find";
    const auto half = cache.create({{"text", "a"}}, {{"n_chunks", 3}}, 1000);
    half->append(chunk(1));
    half->append(chunk(2));
    half->commit();
    EXPECT_EQ(cache.find({{"text", "a"}}), nullptr);
    EXPECT_NE(cache.note().find("ends early"), std::string::npos) << cache.note();
}

TEST(ReferenceCache, WithoutAFolderNothingIsKept) {
    ReferenceCache cache("", LIMIT);
    keep(cache, {{"text", "a"}}, 1);
    EXPECT_EQ(cache.find({{"text", "a"}}), nullptr);
    EXPECT_EQ(cache.note(), "");
}

TEST(ReferenceCache, PartsOfDeadWritersGo) {
    const TempDir dir;
    write_file_atomic(dir / "x.predictions.999999999.part", "half");
    ReferenceCache cache(dir.path(), LIMIT);
    keep(cache, {{"text", "a"}}, 1);
    (void)only_file(dir.path());
}

TEST(ReferenceCache, EveryFieldOfTheRoutingComesBack) {
    const TempDir dir;
    ReferenceCache cache(dir.path(), LIMIT);
    const auto made = cache.create({{"text", "a"}}, {{"n_chunks", 1}, {"n_vocab", 7}}, 1000);
    made->append({{1}, {0.5}, "rows", {{4, 2, {0, 9}}, {5, 1, {3}}}});
    made->commit();
    const auto file = cache.find({{"text", "a"}});
    ASSERT_NE(file, nullptr);
    EXPECT_EQ(file->header()["n_vocab"], 7);
    const ReferenceChunk read = file->read();
    ASSERT_EQ(read.routing.size(), 2U);
    EXPECT_EQ(read.routing[0].layer, 4);
    EXPECT_EQ(read.routing[0].n_used, 2);
    EXPECT_EQ(read.routing[1].layer, 5);
    EXPECT_EQ(read.routing[1].experts, std::vector<uint16_t>{3});
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

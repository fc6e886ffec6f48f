// Threads: who takes part, where they meet, and how work is handed out.
#include <gtest/gtest.h>

#include <atomic>
#include <set>

#include "cpu/team.h"
#include "cpu/work.h"

namespace {

// One region in which every thread says who it is.
struct Roll {
    std::atomic<int> calls{0}, nth_min{1000}, nth_max{0};
    std::atomic<int> seen[64] = {};
    std::atomic<int> before{0}, late{0};

    static void region(void * ctx, int ith, int nth, moe::Barrier & barrier) {
        Roll & r = *static_cast<Roll *>(ctx);
        ++r.calls;
        ++r.seen[ith];
        if (nth < r.nth_min) r.nth_min = nth;
        if (nth > r.nth_max) r.nth_max = nth;
        for (int round = 1; round <= 10; ++round) {  // nobody passes before all have come
            ++r.before;
            barrier.wait();
            if (r.before < round * nth) ++r.late;
            barrier.wait();
        }
    }
};

void expect_region(moe::Team & team, int asked, int expected) {
    Roll r;
    team.run(asked, Roll::region, &r);
    EXPECT_EQ(r.calls, expected);
    EXPECT_EQ(r.nth_min, expected);
    EXPECT_EQ(r.nth_max, expected);
    EXPECT_EQ(r.late, 0);
    for (int i = 0; i < 64; ++i) {
        EXPECT_EQ(r.seen[i], i < expected ? 1 : 0) << i;
    }
}

// What each claim of a phase with `total` items gets, if one thread takes all.
std::vector<int64_t> runs(int64_t total, int threads, int64_t rows) {
    std::atomic<int64_t> counter{0};
    std::vector<int64_t> sizes;
    while (counter.load() < total) {
        const int64_t before = counter.load();
        moe::Work w(counter, total, threads, rows);  // claims one run
        sizes.push_back(counter.load() - before);
    }
    return sizes;
}

}  // namespace

TEST(Team, AsManyThreadsAsAskedForAndNoMoreThanSet) {
    moe::Team team;
    EXPECT_GE(team.threads(), 1);
    for (int n : {4, 1, 7, 2, 3, 7}) {
        team.set_threads(n);
        EXPECT_EQ(team.threads(), n);
        for (int asked : {1, 2, n, n + 5, 0, -1}) {
            expect_region(team, asked, std::max(1, std::min(asked, n)));
        }
    }
    team.set_threads(0);
    EXPECT_EQ(team.threads(), 1);
    team.set_threads(-3);
    EXPECT_EQ(team.threads(), 1);
    expect_region(team, 4, 1);
}
TEST(Team, SleepsAndWakes) {
    moe::Team team;
    team.set_threads(3);
    for (int i = 0; i < 5; ++i) {
        expect_region(team, 3, 3);
        std::this_thread::sleep_for(std::chrono::milliseconds(3));  // longer than idle threads poll
    }
}
TEST(Team, TwoAtOnce) {
    const auto work = [] {
        moe::Team team;
        team.set_threads(2);
        for (int i = 0; i < 30; ++i) {
            expect_region(team, 2, 2);
        }
    };
    std::thread other(work);
    work();
    other.join();
}
TEST(Team, EndsWithoutEverRunning) {
    moe::Team team;
}

TEST(Work, RunsShrinkTowardsTheEnd) {
    EXPECT_EQ(runs(16, 2, 1), (std::vector<int64_t>{2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}));
    EXPECT_EQ(runs(3, 8, 1), (std::vector<int64_t>{1, 1, 1}));
    EXPECT_EQ(runs(0, 2, 1), std::vector<int64_t>{});
    EXPECT_EQ(runs(1000, 1, 1).front(), 32);  // never more than 32 activation rows
    EXPECT_EQ(runs(1000, 1, 8).front(), 4);
    EXPECT_EQ(runs(1000, 1, 33).front(), 1);
    EXPECT_EQ(runs(1000, 1, 0).front(), 32);
    EXPECT_EQ(runs(100, 1, 1).front(), 25);  // a quarter of the rest
    EXPECT_EQ(runs(100, 5, 1).front(), 5);   // for each thread
}
TEST(Work, EveryItemOnceWithTheNextOneKnown) {
    for (int64_t total : {0, 1, 2, 17, 1000}) {
        std::atomic<int64_t> counter{0};
        moe::Work work(counter, total, 2, 1);
        std::vector<int64_t> items;
        int64_t promised = 0;
        for (int64_t i, next; work.take(i, next);) {
            EXPECT_EQ(i, promised);
            items.push_back(i);
            promised = next;
        }
        EXPECT_EQ(static_cast<int64_t>(items.size()), total);
        if (total > 0) {
            EXPECT_EQ(promised, -1);
        }
        for (int64_t i = 0; i < total; ++i) {
            EXPECT_EQ(items[static_cast<size_t>(i)], i);
        }
    }
}
TEST(Work, SharedByThreads) {
    std::atomic<int64_t> counter{0};
    constexpr int64_t total = 10000;
    std::vector<std::atomic<int>> taken(total);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            moe::Work work(counter, total, 4, 1);
            for (int64_t i, next; work.take(i, next);) {
                ++taken[static_cast<size_t>(i)];
            }
        });
    }
    for (std::thread & t : threads) {
        t.join();
    }
    for (const auto & n : taken) {
        EXPECT_EQ(n, 1);
    }
}

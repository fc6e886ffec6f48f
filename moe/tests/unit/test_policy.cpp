// Which experts are kept in VRAM: by hand for a few uses, and against the best that any policy could do on random
// traces.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <set>

#include "experts/policy.h"

using moe::CachePolicy;
using moe::PolicyParams;

namespace {

// One token routed to these experts: hits are counted, misses offered, and what is admitted is there for the next one.
int step(CachePolicy & p, const std::vector<int> & experts, int * uploads = nullptr) {
    int hits = 0;
    for (int e : experts) {
        hits += p.slot_of(e) >= 0;
        p.use(e, 1, 1);
    }
    std::vector<CachePolicy::Upload> begun;
    for (int e : experts) {
        CachePolicy::Upload u;
        if (p.slot_of(e) < 0 && p.admit(e, u)) begun.push_back(u);
    }
    for (const auto & u : begun) {
        p.uploaded(u);
    }
    if (uploads != nullptr) *uploads += static_cast<int>(begun.size());
    p.advance(1);
    return hits;
}

// Look-ups of one expert at a time. The most hits with `slots` places, where a miss may be left out (Belady).
int most_hits(const std::vector<int> & trace, size_t slots) {
    const size_t never = trace.size();
    std::vector<size_t> next(trace.size());
    std::map<int, size_t> seen;
    for (size_t i = trace.size(); i-- > 0;) {
        next[i] = seen.count(trace[i]) ? seen[trace[i]] : never;
        seen[trace[i]] = i;
    }
    std::map<int, size_t> resident;  // next use of each
    int hits = 0;
    for (size_t i = 0; i < trace.size(); ++i) {
        hits += static_cast<int>(resident.count(trace[i]));
        resident[trace[i]] = next[i];
        if (resident.size() <= slots) continue;
        resident.erase(std::max_element(resident.begin(), resident.end(),
                                        [](const auto & a, const auto & b) { return a.second < b.second; }));
    }
    return hits;
}

}  // namespace

TEST(Policy, FreeSlotsAreFilledAtOnce) {
    CachePolicy p(8, 3);
    EXPECT_EQ(p.slots(), 3);
    EXPECT_EQ(step(p, {5, 6}), 0);
    EXPECT_EQ(p.slot_of(5), 0);
    EXPECT_EQ(p.slot_of(6), 1);
    EXPECT_EQ(p.slot_of(7), -1);
    EXPECT_EQ(step(p, {5, 7}), 1);
    EXPECT_EQ(p.slot_of(7), 2);
    EXPECT_EQ(step(p, {5, 6, 7}), 3);
}
TEST(Policy, NoMoreSlotsThanExperts) {
    EXPECT_EQ(CachePolicy(4, 100).slots(), 4);
    EXPECT_EQ(CachePolicy(4, 0).slots(), 0);
    CachePolicy none(4, 0);
    CachePolicy::Upload u;
    none.use(1, 1, 1);
    EXPECT_FALSE(none.admit(1, u));
}
// With two residents of one use each, a third expert must be used by the price more often before it replaces one.
TEST(Policy, AMissReplacesTheLeastUsedWhenItIsWorthThePrice) {
    PolicyParams params;
    params.half_life = 1e9;  // nothing is forgotten
    params.price = 2;
    CachePolicy p(8, 2, params);
    step(p, {0, 1, 1});
    for (int i = 0; i < 2; ++i) {
        step(p, {2});
        EXPECT_EQ(p.slot_of(2), -1) << i;
    }
    step(p, {2});  // 3 uses against 1 of expert 0
    EXPECT_EQ(p.slot_of(2), 0);
    EXPECT_EQ(p.slot_of(0), -1);
    EXPECT_EQ(p.slot_of(1), 1) << "it had two uses";
}
TEST(Policy, UsesAreHalvedInAHalfLife) {
    PolicyParams params;
    params.half_life = 8;
    CachePolicy p(4, 1, params);
    for (int i = 0; i < 4; ++i) {
        p.use(3, 1, 1);
    }
    EXPECT_DOUBLE_EQ(p.use_of(3), 4);
    p.advance(8);
    EXPECT_NEAR(p.use_of(3), 2, 1e-12);
    p.use(3, 1, 1);
    p.advance(16);
    EXPECT_NEAR(p.use_of(3), 0.75, 1e-12);
    p.advance(8.0 * 600);  // past the point where uses are brought back
    EXPECT_LT(p.use_of(3), 1e-100);
    p.use(3, 1, 1);
    EXPECT_DOUBLE_EQ(p.use_of(3), 1);
}
// A batch reads an expert once: more of its tokens are a reason to prefer it, but not to replace another.
TEST(Policy, ABatchIsOneUseOfAnExpert) {
    CachePolicy p(3, 2);
    p.use(0, 1, 1);
    p.use(1, 64, 64);
    p.use(2, 16, 64);
    EXPECT_DOUBLE_EQ(p.use_of(0), 1);
    EXPECT_DOUBLE_EQ(p.use_of(1), 2);
    EXPECT_DOUBLE_EQ(p.use_of(2), 1.25);
}
// Batches that use all experts of all layers, one layer after another, leave those that came first where they are.
TEST(Policy, LargeBatchesDoNotThrash) {
    CachePolicy p(24, 7);
    std::mt19937 rng(3);
    int uploads = 0, hits = 0;
    for (int batch = 0; batch < 50; ++batch) {
        for (int layer = 0; layer < 3; ++layer) {
            for (int e = layer * 8; e < layer * 8 + 8; ++e) {
                hits += p.slot_of(e) >= 0;
                p.use(e, 5 + static_cast<int>(rng() % 11), 80);
                CachePolicy::Upload u;
                if (p.slot_of(e) < 0 && p.admit(e, u)) {
                    ++uploads;
                    p.uploaded(u);
                }
            }
            p.advance(1.0 / 3);
        }
    }
    EXPECT_LE(uploads, 50) << "one a batch; uploading every miss would be 850";
    EXPECT_GE(hits, 49 * 7 - 50);
}
TEST(Policy, WhatIsOnItsWayIsNeitherThereNorAskedForAgainNorReplaced) {
    PolicyParams params;
    params.in_flight = 2;
    CachePolicy p(8, 2, params);
    CachePolicy::Upload a, b, c;
    p.use(0, 1, 1);
    ASSERT_TRUE(p.admit(0, a));
    EXPECT_EQ(p.in_flight(), 1);
    EXPECT_EQ(p.slot_of(0), -1);
    EXPECT_FALSE(p.admit(0, c));
    p.use(1, 1, 1);
    ASSERT_TRUE(p.admit(1, b));
    for (int i = 0; i < 100; ++i) {
        p.use(2, 1, 1);
    }
    EXPECT_FALSE(p.admit(2, c)) << "two are under way";
    p.uploaded(a);
    EXPECT_EQ(p.slot_of(0), a.slot);
    EXPECT_EQ(p.slot_of(1), -1);
    ASSERT_TRUE(p.admit(2, c));
    EXPECT_EQ(c.slot, a.slot) << "the one that is under way is not replaced";
    EXPECT_EQ(p.slot_of(0), -1);
}
TEST(Policy, AFailedUploadLeavesTheSlotFree) {
    CachePolicy p(8, 1);
    CachePolicy::Upload u;
    p.use(3, 1, 1);
    ASSERT_TRUE(p.admit(3, u));
    p.failed(u);
    EXPECT_EQ(p.in_flight(), 0);
    EXPECT_EQ(p.slot_of(3), -1);
    p.use(4, 1, 1);
    ASSERT_TRUE(p.admit(4, u));
    p.uploaded(u);
    EXPECT_EQ(p.slot_of(4), 0);
}
TEST(Policy, TheLeastUsedOfManyGoesFirst) {
    PolicyParams params;
    params.half_life = 1e9;
    params.in_flight = 100;
    CachePolicy p(400, 100, params);
    std::mt19937 rng(7);
    std::vector<int> order(100);
    for (int e = 0; e < 100; ++e) {
        order[size_t(e)] = e;
    }
    std::shuffle(order.begin(), order.end(), rng);
    for (int e = 0; e < 100; ++e) {
        CachePolicy::Upload u;
        p.use(e, 1, 1);
        ASSERT_TRUE(p.admit(e, u));
        p.uploaded(u);
    }
    for (int i = 0; i < 100; ++i) {  // i + 1 uses each, in a random order of experts
        for (int n = 0; n < i; ++n) {
            p.use(order[size_t(i)], 1, 1);
        }
    }
    for (int i = 0; i < 100; ++i) {
        CachePolicy::Upload u;
        for (int n = 0; n < 200; ++n) {
            p.use(100 + i, 1, 1);
        }
        ASSERT_TRUE(p.admit(100 + i, u));
        EXPECT_EQ(p.slot_of(order[size_t(i)]), -1) << i;
        EXPECT_TRUE(i == 99 || p.slot_of(order[size_t(i) + 1]) >= 0) << i;
        p.uploaded(u);
    }
}
// On any trace: never more hits than the best possible, never more residents than slots, never two in one slot; and on
// a skewed one most of what is possible, with a fraction of the uploads.
TEST(Policy, AgainstTheBestThereIs) {
    for (uint32_t seed = 0; seed < 40; ++seed) {
        std::mt19937 rng(seed);
        const int experts = 4 + static_cast<int>(rng() % 60), slots = 1 + static_cast<int>(rng() % unsigned(experts));
        const double skew = seed % 4;  // 0: even
        std::vector<double> popular;
        for (int e = 0; e < experts; ++e) {
            popular.push_back(std::pow(e + 1.0, -skew));
        }
        std::shuffle(popular.begin(), popular.end(), rng);
        std::discrete_distribution<int> draw(popular.begin(), popular.end());
        std::vector<int> trace(2000);
        for (int & e : trace) {
            e = draw(rng);
        }
        CachePolicy p(experts, slots);
        int hits = 0, uploads = 0;
        for (int e : trace) {
            hits += step(p, {e}, &uploads);
            std::set<int> used;
            for (int x = 0; x < experts; ++x) {
                if (p.slot_of(x) < 0) continue;
                ASSERT_TRUE(used.insert(p.slot_of(x)).second);
                ASSERT_LT(p.slot_of(x), slots);
            }
        }
        const int best = most_hits(trace, size_t(slots));
        EXPECT_LE(hits, best) << seed;
        EXPECT_GE(hits, best * (skew >= 1 ? 0.75 : 0.3))
            << seed << ": " << experts << " experts, " << slots << " slots";
        EXPECT_LE(uploads, static_cast<int>(trace.size()) - hits) << seed;
    }
}
TEST(Policy, BytesAreSharedSoThatEachClassKeepsTheSamePart) {
    using Slots = std::vector<int>;
    EXPECT_EQ(moe::share_slots({{100, 10}}, 255), (Slots{25}));
    EXPECT_EQ(moe::share_slots({{100, 10}, {40, 50}}, 1500), (Slots{50, 20}));
    EXPECT_EQ(moe::share_slots({{100, 10}, {40, 50}}, 1u << 30), (Slots{100, 40}));
    EXPECT_EQ(moe::share_slots({{100, 10}}, 0), (Slots{0}));
    EXPECT_EQ(moe::share_slots({}, 10), Slots());
}

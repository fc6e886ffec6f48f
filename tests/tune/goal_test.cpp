// Requests and what is measured in their place.
#include "tune/goal.h"

#include "base/error.h"

#include <gtest/gtest.h>

namespace shimmy::tune {
namespace {

TEST(Goal, ByName) {
    EXPECT_EQ(goal_named("batch").n_clients, 8);
    EXPECT_EQ(goal_named("long-context").n_prompt, 16000);
    EXPECT_THROW((void)goal_named("speed"), UsageError);
}

TEST(Goal, FitsTheContext) {
    const Goal goal{"agent", 3000, 1000, 1};
    EXPECT_EQ(fit_to_context(goal, 4000).n_prompt, 3000);
    const Goal half = fit_to_context(goal, 2000);
    EXPECT_EQ(half.n_answer, 500);
    EXPECT_EQ(half.n_prompt, 1500);
}

TEST(Goal, LengthsThatATimeAllows) {
    const Goal goal{"chat", 400, 300, 1};
    const Lengths whole = lengths_within(goal, 1.0, 2.0, 1000.0);  // takes 400 + 600 ms
    EXPECT_EQ(whole.n_prompt, 400);
    EXPECT_EQ(whole.n_gen, 300);
    const Lengths half = lengths_within(goal, 1.0, 2.0, 500.0);  // 250 ms each
    EXPECT_EQ(half.n_prompt, 250);
    EXPECT_EQ(half.n_gen, 125);
    const Lengths quick_prompt = lengths_within(goal, 0.1, 10.0, 1000.0);  // 40 ms, which leaves 960
    EXPECT_EQ(quick_prompt.n_prompt, 400);
    EXPECT_EQ(quick_prompt.n_gen, 96);
    const Lengths least = lengths_within(goal, 100.0, 1000.0, 10.0);
    EXPECT_EQ(least.n_prompt, 64);
    EXPECT_EQ(least.n_gen, 8);
}

TEST(Goal, TimeOfARequest) {
    // 100 of 400 tokens took 50 ms, 30 of 300 took 600.
    EXPECT_DOUBLE_EQ(request_ms({"chat", 400, 300, 1}, {100, 30}, 50.0, 600.0), 200.0 + 6000.0);
}

}  // namespace
}  // namespace shimmy::tune

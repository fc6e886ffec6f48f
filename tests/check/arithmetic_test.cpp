// Every operator, sign and separator that written arithmetic uses, right and wrong by one.
#include "check/arithmetic.h"

#include "check/grade.h"

#include <gtest/gtest.h>

namespace shimmy::check {
namespace {

using Numbers = std::vector<double>;
using Reasons = std::vector<std::string>;

TEST(ArithmeticSteps, EveryOperatorComputes) {
    EXPECT_EQ(wrong_steps("7 + 2 = 8"), Reasons{"9 is not 8"});
    EXPECT_EQ(wrong_steps("7 - 2 = 4"), Reasons{"5 is not 4"});
    EXPECT_EQ(wrong_steps("7 − 2 = 4"), Reasons{"5 is not 4"});
    EXPECT_EQ(wrong_steps("7 * 2 = 15"), Reasons{"14 is not 15"});
    EXPECT_EQ(wrong_steps("7 × 2 = 15"), Reasons{"14 is not 15"});
    EXPECT_EQ(wrong_steps("7 · 2 = 15"), Reasons{"14 is not 15"});
    EXPECT_EQ(wrong_steps("7 x 2 = 15"), Reasons{"14 is not 15"});
    EXPECT_EQ(wrong_steps("7 X 2 = 15"), Reasons{"14 is not 15"});
    EXPECT_EQ(wrong_steps("7x2 = 15"), Reasons{"14 is not 15"});
    EXPECT_EQ(wrong_steps("8 / 2 = 5"), Reasons{"4 is not 5"});
    EXPECT_EQ(wrong_steps("8/2 = 5"), Reasons{"4 is not 5"});
    EXPECT_EQ(wrong_steps("8 ÷ 2 = 5"), Reasons{"4 is not 5"});
    EXPECT_EQ(wrong_steps("2^3 = 9"), Reasons{"8 is not 9"});
    EXPECT_EQ(wrong_steps("2**3 = 9"), Reasons{"8 is not 9"});
    EXPECT_EQ(wrong_steps("2 ** 3 = 9"), Reasons{"8 is not 9"});
    EXPECT_EQ(wrong_steps("2**(1 + 2) = 9"), Reasons{"8 is not 9"});
    EXPECT_EQ(wrong_steps("$5 + $3 = $9"), Reasons{"8 is not 9"});
    EXPECT_EQ(wrong_steps("6 x (2 + 1) = 19"), Reasons{"18 is not 19"});
    EXPECT_EQ(wrong_steps("-3 + 5 = 3"), Reasons{"2 is not 3"});
    EXPECT_EQ(wrong_steps("- 3 + 5 = 9"), Reasons{"8 is not 9"}) << "a bullet";
    EXPECT_EQ(wrong_steps("(-3 + 5) * 2 = 5"), Reasons{"4 is not 5"});
    EXPECT_EQ(wrong_steps(".5 + .5 = 2"), Reasons{"1 is not 2"});
    EXPECT_EQ(wrong_steps("1,200,300 + 1 = 1,200,302"), Reasons{"1.2003e+06 is not 1.2003e+06"});
}

TEST(ArithmeticSteps, PrecedenceAndOrder) {
    for (const std::string text : {"2 + 3 * 4 = 14", "2 * 3 + 4 = 10", "10 - 2 - 3 = 5", "16 / 4 / 2 = 2",
                                   "12 / 3 * 2 = 8", "2^3^2 = 512", "2 * 3^2 = 18", "((2 + 3) * (1 + 1)) = 10"})
        EXPECT_EQ(wrong_steps(text), Reasons{}) << text;
    for (const std::string text : {"2 + 3 * 4 = 20", "10 - 2 - 3 = 11", "16 / 4 / 2 = 8", "12 / 3 * 2 = 2",
                                   "2^3^2 = 64", "2 * 3^2 = 36", "((2 + 3) * (1 + 1)) = 6"})
        EXPECT_EQ(wrong_steps(text).size(), 1U) << text;
}

TEST(ArithmeticSteps, DigitsShownAreTheTolerance) {
    for (const std::string text : {"10 / 3 = 3.3", "10 / 3 = 3.33", "1 / 8 = 0.13", "1 / 8 = 0.12", "x = 3.3 = 10 / 3"})
        EXPECT_EQ(wrong_steps(text), Reasons{}) << text;
    for (const std::string text :
         {"10 / 3 = 3.4", "10 / 3 = 3", "1 / 8 = 0.14", "1 / 8 = 0.11", "x = 3.4 = 10 / 3", "1000000 * 3 = 3000001"})
        EXPECT_EQ(wrong_steps(text).size(), 1U) << text;
}

TEST(ArithmeticSteps, AChainIsComparedLinkByLink) {
    EXPECT_EQ(wrong_steps("2 + 3 = 5 = 6"), Reasons{"5 is not 6"});
    EXPECT_EQ(wrong_steps("2 + 2 = 5 = 4"), (Reasons{"4 is not 5", "5 is not 4"}));
    EXPECT_EQ(wrong_steps("5 = 6"), Reasons{}) << "nothing is computed";
    EXPECT_EQ(wrong_steps("2 + 2 = 5, 3 + 3 = 7; 1 + 1 = 3: 2 + 1 = 4. 4 + 4 = 9! 5 + 5 = 11?").size(), 6U);
    EXPECT_EQ(wrong_steps("2 + 2 =\n5"), Reasons{}) << "a line is a sentence";
}

TEST(ArithmeticSteps, UnitsAreUpToFourWords) {
    EXPECT_EQ(wrong_steps("60 a b c d * 2 = 100"), Reasons{"120 is not 100"});
    EXPECT_EQ(wrong_steps("60 a b c d e * 2 = 100"), Reasons{}) << "prose, not a unit";
    EXPECT_EQ(wrong_steps("speed * 2.5 = 100"), Reasons{});
    EXPECT_EQ(wrong_steps("2 + 2 = 5 (as we said)"), Reasons{"4 is not 5"});
    EXPECT_EQ(wrong_steps("2 + 2 = about 5"), Reasons{});
    EXPECT_EQ(wrong_steps("(2 + 2) apples = 5"), Reasons{"4 is not 5"});
    EXPECT_EQ(wrong_steps("6 boxes * 2 = 13"), Reasons{"12 is not 13"}) << "an x inside a word is a letter";
}

TEST(ArithmeticSteps, NestingHasALimit) {
    const auto nested = [](int depth) {
        return std::string(static_cast<size_t>(depth), '(') + "1" + std::string(static_cast<size_t>(depth), ')') +
               " + 1 = 3";
    };
    EXPECT_EQ(wrong_steps(nested(64)), Reasons{"2 is not 3"});
    EXPECT_EQ(wrong_steps(nested(65)), Reasons{});
    EXPECT_EQ(wrong_steps("(1 + 1 = 3"), Reasons{}) << "not closed";
    EXPECT_EQ(wrong_steps("(1 + 1 2 + 1 = 9"), Reasons{}) << "not closed where another number stands";
}

TEST(FinalNumbers, AreThoseOfTheLastSentenceWithANumber) {
    EXPECT_EQ(final_numbers("It is 5. Or 6! Or 7? Then"), Numbers{7});
    EXPECT_EQ(final_numbers("1 and 2\n3 and 4\n"), (Numbers{3, 4}));
    EXPECT_EQ(final_numbers("12,345 or 1,234,567"), (Numbers{12345, 1234567}));
    EXPECT_EQ(final_numbers("1,2345 and 1,23"), (Numbers{1, 2345, 1, 23}));
    EXPECT_EQ(final_numbers("from .5, -2.25"), (Numbers{0.5, -2.25}));
    EXPECT_EQ(final_numbers("3-5"), (Numbers{3, 5}));
    EXPECT_EQ(final_numbers("a1 b_2 c3"), Numbers{});
}

TEST(GradeArithmetic, StepsAndTheResult) {
    const Grader grader({});
    Task task;
    task.kind = Kind::arithmetic;
    task.prompt = "How far does it go?";
    task.result = 150.0;
    const auto defects = [&](const std::string & text) { return grader.defects(task, {text, true, 9}); };
    EXPECT_EQ(defects("It goes 150 miles."), Reasons{});
    EXPECT_EQ(defects("It goes 150 miles in 2.5 hours."), Reasons{});
    EXPECT_EQ(defects("It goes 151 miles in 2 hours."), Reasons{"ends on 151, 2, where 150 is right"});
    EXPECT_EQ(defects("It goes far."), Reasons{"gives no number, where 150 is right"});
    EXPECT_EQ(defects("60 * 2 = 130. It goes 150 miles."), Reasons{"has a wrong step: 120 is not 130"});
    task.result = 1e12;
    EXPECT_EQ(defects("1000000000500"), Reasons{}) << "within 1e-9 of it";
    EXPECT_EQ(defects("1000000002000").size(), 1U);
}

}  // namespace
}  // namespace shimmy::check

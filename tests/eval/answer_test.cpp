#include "eval/answer.h"

#include <gtest/gtest.h>

namespace shimmy::eval {
namespace {

const std::string EGGS = "She sells 16 - 3 - 4 = 9 eggs a day.\nShe makes 9 * 2 = $18.\n#### 1,018";

std::string strict(const std::string & given, const std::string & right = EGGS) {
    return strict_answer(given, right).value_or("none");
}
std::string flexible(const std::string & given, const std::string & right = EGGS) {
    return flexible_answer(given, right).value_or("none");
}

TEST(AnswerOf, StrictIsTheNumberBehindTheMark) {
    EXPECT_EQ(strict("so 9 * 2 = 18.\n#### 18\n#### 20"), "18");
    EXPECT_EQ(strict("#### -1,018.50"), "-1,018.50");
    EXPECT_EQ(strict("#### x #### 7"), "7") << "a mark without a number is none";
    EXPECT_EQ(strict("#### -"), "none");
    EXPECT_EQ(strict("####18"), "none") << "the data set has a space";
    EXPECT_EQ(strict("The answer is 18."), "none");
    EXPECT_EQ(strict(""), "none");
}

TEST(AnswerOf, FlexibleIsTheLastNumber) {
    EXPECT_EQ(flexible("9 eggs, so $18.50 and then 7"), "7");
    EXPECT_EQ(flexible("it is $1,018."), "$1,018.");
    EXPECT_EQ(flexible("it is -5"), "-5");
    EXPECT_EQ(flexible("from 3-4"), "-4");
    EXPECT_EQ(flexible("7 and so on..."), "...") << "as lm-evaluation-harness's pattern finds it";
    EXPECT_EQ(flexible("no number."), "none");
    EXPECT_EQ(flexible("- $ ,"), "none");
}

TEST(AnswerOf, WordsAreTheFirstLine) {
    EXPECT_EQ(strict("\n  Paris. \nIt is large.", "Paris"), "Paris.");
    EXPECT_EQ(flexible("Paris in 1789", "Paris"), "Paris in 1789") << "no number is wanted";
    EXPECT_EQ(flexible("It is 41, no, 42 of them", "42"), "42");
    EXPECT_EQ(flexible("about 2.50 in all", "2.5"), "2.50");
    EXPECT_EQ(flexible("room 7", "7a"), "room 7");
    EXPECT_EQ(strict(" \n ", "Paris"), "none");
}

TEST(AnswerOf, SpellingDoesNotCount) {
    EXPECT_TRUE(same_answer("1018", EGGS));
    EXPECT_TRUE(same_answer("$1,018.", EGGS));
    EXPECT_FALSE(same_answer("1018.0", EGGS)) << "texts are compared, as in lm-evaluation-harness";
    EXPECT_FALSE(same_answer("18", EGGS));
    EXPECT_TRUE(same_answer("PARIS.", "Paris"));
    EXPECT_FALSE(same_answer("Paris, France", "Paris"));
    EXPECT_EQ(final_answer(EGGS), "1018");
    EXPECT_EQ(final_answer(" Paris. "), "paris");
}

}  // namespace
}  // namespace shimmy::eval

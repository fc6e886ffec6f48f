// The criteria on answers that are right, wrong and broken.
#include "check/arithmetic.h"
#include "check/degeneration.h"
#include "check/grade.h"
#include "check/verse.h"

#include <gtest/gtest.h>

namespace shimmy::check {
namespace {

constexpr const char * PROMPT = "Explain gradient descent in simple terms.";

std::string joined(const std::vector<std::string> & parts) {
    std::string text;
    for (const std::string & part : parts)
        text += part + "; ";
    return text;
}

TEST(Arithmetic, StepsThatAreRight) {
    for (const std::string text :
         {"60 * 2.5. 60 * 2 = 120. 60 * 0.5 = 30. 120 + 30 = 150. The train goes 150 miles.",
          "60 miles/hour × 2.5 hours = 150 miles", "2 + 3 * 4 = 14", "(2 + 3) * 4 = 20", "10 / 3 = 3.33",
          "2 * 3 * 4 = 6 * 4 = 24", "1,200 + 300 = 1,500", "**60** x **2.5** = **150**", "2^10 = 1024, 2 ** 3 = 8",
          "-3 + 5 = 2", "Distance = speed * time = 60 * 2.5 = 150", "d = 5", "20 percent of 50 = 10",
          "- 3 + 4 = 7\n- 5 - 1 = 4", "$5.50 + $1.25 = $6.75", "x = 3 and y = x + 1", "10 / 3 ≈ 3",
          "We have 3 apples and 5 + 2 = 7 pears."})
        EXPECT_EQ(joined(wrong_steps(text)), "") << text;
}

TEST(Arithmetic, StepsThatAreWrong) {
    for (const std::string text :
         {"60 * 2 = 130.", "120 + 30 = 160", "60 miles per hour * 2.5 hours = 140 miles",
          "Distance = speed * time = 60 * 2.5 = 160", "2 * 3 * 4 = 6 * 4 = 25", "10 / 3 = 3.34", "(2 + 3) * 4 = 14",
          "1,200 + 300 = 15", "**60** x **2.5** = **15**"})
        EXPECT_EQ(wrong_steps(text).size(), 1U) << text;
}

TEST(Arithmetic, TheLastSentenceWithANumberCounts) {
    EXPECT_EQ(final_numbers("60 * 2.5 = 150. In 2.5 hours it goes 150 miles. That is far!"),
              (std::vector<double>{2.5, 150}));
    EXPECT_EQ(final_numbers("The answer is 1,234.5"), (std::vector<double>{1234.5}));
    EXPECT_TRUE(final_numbers("Far.").empty());
}

TEST(Verse, LinesAndStanzas) {
    const std::string poem =
        "The stars looked down —\nAnd never told me why —\n\nThe stars went out —\nBetween the Earth and Sky —\n";
    EXPECT_EQ(joined(verse_defects(poem, {4, 2, 2, 14})), "");
    EXPECT_NE(joined(verse_defects(poem, {4, 3, 0, 14})), "");
    EXPECT_NE(joined(verse_defects(poem, {5, 1, 0, 14})), "");
    EXPECT_NE(joined(verse_defects(poem, {4, 1, 4, 14})), "");
    EXPECT_NE(joined(verse_defects("The stars are balls of gas that shine because of what goes on inside of them, "
                                   "all day and all night long.\na\nb\nc\n",
                                   {4, 1, 0, 14}))
                  .find("prose"),
              std::string::npos);
}

TEST(Degeneration, HealthyAnswersAreLeftAlone) {
    for (const std::string text :
         {"Gradient descent is the way most models improve: they measure their error and reduce it step by step.",
          "def f(n):\n    a, b = 0, 1\n    for _ in range(n):\n        a, b = b, a + b\n    return a\n",
          "| a | b |\n|-------------------------------------------------------------------------------|---|\n",
          "The stars looked down on all the Leaves —\nAnd never told me why —\nNot unlike a thousand distant fires —\n"
          "Between the Earth and Sky —\n\nAnd then the stars went out before the dawn —\nAnd never told me why —\n"
          "Alone upon the writing Desk —\nBetween the Earth and Sky —\n",
          "The loss L(θ) falls with the learning rate η.", "150"})
        EXPECT_EQ(joined(degenerations(PROMPT, text)), "") << text;
}

TEST(Degeneration, BrokenAnswersAreFound) {
    const auto found = [](const std::string & text) { return joined(degenerations(PROMPT, text)); };
    EXPECT_NE(found("").find("empty"), std::string::npos);
    EXPECT_NE(found(" \n\t").find("empty"), std::string::npos);
    EXPECT_NE(found("It is the the the the the the the the the").find("\"the\" 9 times"), std::string::npos);
    EXPECT_NE(found("so and so. so and so. so and so. so and so.").find("\"so and so.\" 4 times"), std::string::npos);
    EXPECT_NE(found("It " + std::string(100, 'a')).find("repeats \"a\" 100 times"), std::string::npos);
    std::string shuffled;
    for (int i = 0; i < 8; ++i)
        shuffled += "one two three four five six seven eight nine ten" + std::string(i % 2 == 0 ? " but " : " and ");
    EXPECT_NE(found(shuffled), "");
    EXPECT_NE(found("cut \xE2\x80").find("UTF-8"), std::string::npos);
    EXPECT_NE(found("replaced \xEF\xBF\xBD").find("UTF-8"), std::string::npos);
    EXPECT_NE(found("surrogate \xED\xA0\x80").find("UTF-8"), std::string::npos);
    EXPECT_NE(found("Gradient descent это метод численной оптимизации функций").find("Cyrillic"), std::string::npos);
    EXPECT_NE(found("梯度下降是一种优化算法用于最小化函数").find("Han"), std::string::npos);
    EXPECT_NE(found("Das Verfahren ist ein Weg, mit dem sich der Fehler verringert, und wird auf den Wert nicht "
                    "sofort geführt.")
                  .find("German"),
              std::string::npos);
}

Task fibonacci() {
    Task task;
    task.id = "fibonacci";
    task.kind = Kind::code;
    task.prompt = "Write a Python function to compute the nth Fibonacci number.";
    task.cases = {{Json::array({1}), 1}, {Json::array({7}), 13}, {Json::array({20}), 6765}};
    task.memory_bytes = uint64_t{512} << 20;
    task.time = std::chrono::milliseconds(3000);
    return task;
}

std::string defects_of(const Task & task, const std::string & text) {
    static const Grader grader({fibonacci()});
    return joined(grader.defects(task, {text, true, 10}));
}

constexpr const char * RIGHT =
    "def fibonacci(n):\n    a, b = 0, 1\n    for _ in range(n):\n        a, b = b, a + b\n    return a\n";

TEST(Code, RightFunctionsPass) {
    const std::string fenced =
        "Here is a function that does this:\n\n```python\n" + std::string(RIGHT) + "```\n\nIt loops.";
    EXPECT_EQ(defects_of(fibonacci(), fenced), "");
    EXPECT_EQ(defects_of(fibonacci(), std::string("Sure.\n\n") + RIGHT + "\nIt loops.\n"), "");
    EXPECT_EQ(
        defects_of(fibonacci(),
                   "```python\nimport functools\n\n@functools.lru_cache\ndef helper(n):\n    return n if n < 2 else "
                   "helper(n - 1) + helper(n - 2)\n\ndef fib(n):\n    return helper(n)\n\nprint(fib(3))\n```\n"),
        "");
}

TEST(Code, WrongFunctionsFailWithTheReason) {
    const auto reason = [](const std::string & code) {
        return defects_of(fibonacci(), "```python\n" + code + "\n```\n");
    };
    EXPECT_NE(reason("def f(n):\n    return n").find("returns 7 for [7], not 13"), std::string::npos);
    EXPECT_NE(reason("def f(n)\n    return n").find("SyntaxError"), std::string::npos);
    EXPECT_NE(reason("def f(n):\n    return m").find("NameError"), std::string::npos);
    EXPECT_NE(reason("def f():\n    return 1").find("TypeError"), std::string::npos);
    EXPECT_NE(reason("def f(n):\n    while True: pass").find("did not end within 3000 ms"), std::string::npos);
    EXPECT_NE(reason("def f(n):\n    return open('/tmp/x', 'w')").find("PermissionError"), std::string::npos);
    EXPECT_NE(reason("import sys\ndef f(n):\n    sys.exit(0)").find("SystemExit"), std::string::npos);
    EXPECT_NE(reason("import os\ndef f(n):\n    os._exit(0)").find("before every case"), std::string::npos);
    EXPECT_NE(reason("def f(n):\n    return f"), "");
    EXPECT_NE(reason("def f(n):\n    print('{\"returned\": 1}')\n    return 0"), "") << "what it prints is no result";
    EXPECT_NE(defects_of(fibonacci(), "I cannot do that.").find("no Python function"), std::string::npos);
    Task named = fibonacci();
    named.function = "fibonacci";
    EXPECT_NE(defects_of(named, "```\ndef f(n):\n    return n\n```").find("defines no function fibonacci"),
              std::string::npos);
}

TEST(Grade, AnAnswerThatWasCutFails) {
    const Grader grader({});
    Task task;
    task.prompt = PROMPT;
    task.concepts = {{{"Error", "loss"}}, {{"step"}}};
    EXPECT_EQ(joined(grader.defects(task, {"It reduces the error in each STEP.", true, 9})), "");
    EXPECT_NE(joined(grader.defects(task, {"It reduces the error in each step", false, 256})).find("256 tokens"),
              std::string::npos);
    EXPECT_NE(joined(grader.defects(task, {"It reduces the error.", true, 9})).find("does not mention step"),
              std::string::npos);
}

}  // namespace
}  // namespace shimmy::check

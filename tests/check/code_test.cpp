// What counts as the code of an answer, and as the value that a case asks for.
#include "check/code.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace shimmy::check {
namespace {

Task double_it() {
    Task task;
    task.kind = Kind::code;
    task.cases = {{Json::array({1}), 2}, {Json::array({2}), 4}, {Json::array({3}), 6}};
    task.memory_bytes = uint64_t{512} << 20;
    task.time = std::chrono::milliseconds(60'000);
    return task;
}

std::vector<std::string> reasons_of(const Task & task, const std::string & code) {
    static const PythonRunner runner;
    return runner.defects(code, task);
}

using Reasons = std::vector<std::string>;

TEST(ExtractPython, FencedBlocksThatDefineAFunction) {
    EXPECT_EQ(extract_python("A:\n```python\ndef f(n):\n    return n\n```\nI def like it\n```sh\nls\n```\n"
                             "```\ndef g(n):\n    return 2\n```\nB"),
              "def f(n):\n    return n\ndef g(n):\n    return 2\n");
    EXPECT_EQ(extract_python("```python\ndef f(n):\n    return n\n"), "def f(n):\n    return n\n") << "cut off";
    EXPECT_EQ(extract_python("text ```"), "");
}

TEST(ExtractPython, LinesThatAreCodeByTheirIndentation) {
    EXPECT_EQ(
        extract_python("Sure.\nimport math\nfrom os import path\n\ndef f(n):\n\tx = n\n    return x\n\nIt is so.\n"
                       "def later(n):\n"),
        "import math\nfrom os import path\n\ndef f(n):\n\tx = n\n    return x\n\n");
    EXPECT_EQ(extract_python("  indented prose\n\ndef f(n): return n"), "def f(n): return n\n");
    EXPECT_EQ(extract_python("import math\n    x = 1\n"), "") << "no function";
    EXPECT_EQ(extract_python("define it so\n"), "");
    EXPECT_EQ(extract_python("def f(n): return n"), "def f(n): return n\n") << "from the first letter on";
    EXPECT_EQ(extract_python(""), "");
}

TEST(CodeCases, EveryCaseMustBeAnswered) {
    EXPECT_EQ(reasons_of(double_it(), "def f(n):\n    return 2 * n"), Reasons{});
    EXPECT_EQ(reasons_of(double_it(), "import os\ndef f(n):\n    if n == 2: os._exit(0)\n    return 2 * n"),
              Reasons{"ended with exit code 0 before every case was run"});
    EXPECT_EQ(reasons_of(double_it(), "import os\ndef f(n):\n    if n == 3: os._exit(7)\n    return 2 * n"),
              Reasons{"ended with exit code 7 before every case was run"});
    EXPECT_EQ(reasons_of(double_it(), "def f(n):\n    return 2 * n if n < 3 else 5"),
              Reasons{"returns 5 for [3], not 6"});
    EXPECT_EQ(reasons_of(double_it(), "def f(n):\n    if n == 2: raise ValueError('no')\n    return 2 * n"),
              Reasons{"ValueError: no"});
}

TEST(CodeCases, TheFunctionIsTheNamedOneOrTheLast) {
    const std::string both = "def right(n):\n    return 2 * n\ndef wrong(n):\n    return 0\n";
    EXPECT_EQ(reasons_of(double_it(), both), Reasons{"returns 0 for [1], not 2"});
    Task named = double_it();
    named.function = "right";
    EXPECT_EQ(reasons_of(named, both), Reasons{});
    named.function = "gone";
    EXPECT_EQ(reasons_of(named, both), Reasons{"defines no function gone"});
    named.function = "number";
    EXPECT_EQ(reasons_of(named, "number = 5"), Reasons{"defines no function number"});
}

TEST(CodeCases, ValuesAreComparedAsNumbersListsAndTexts) {
    const auto verdict = [](const Json & expected, const std::string & returned) {
        Task task = double_it();
        task.cases = {{Json::array({}), expected}};
        return reasons_of(task, "def f():\n    return " + returned).empty();
    };
    EXPECT_TRUE(verdict(2, "2.0"));
    EXPECT_TRUE(verdict(1.0, "1.0 + 5e-10"));
    EXPECT_FALSE(verdict(1.0, "1.0 + 5e-9"));
    EXPECT_TRUE(verdict(0, "0.0"));
    EXPECT_FALSE(verdict(0, "1e-12")) << "relative to the larger of the two";
    EXPECT_TRUE(verdict(Json::array({1, Json::array({2.0, "x"})}), "[1.0, (2, 'x')]"));
    EXPECT_FALSE(verdict(Json::array({1, 2}), "[1]"));
    EXPECT_FALSE(verdict(Json::array({1}), "[1, 2]"));
    EXPECT_FALSE(verdict(Json::array({1}), "1"));
    EXPECT_FALSE(verdict(1, "[1]"));
    EXPECT_FALSE(verdict(1, "True"));
    EXPECT_FALSE(verdict("1", "1"));
    EXPECT_TRUE(verdict("é", "'é'"));
    EXPECT_TRUE(verdict(nullptr, "None"));
}

TEST(CodeCases, WhichFilesThereAreIsLearntIfAllowed) {
    Task task = double_it();
    task.cases = {{Json::array({SHIMMY_SOURCE_DIR}), true}};
    const std::string code = "import os\ndef f(path):\n    return os.path.exists(path)\n";
    EXPECT_EQ(PythonRunner(/*may_read_files=*/true).defects(code, task), Reasons{});
    EXPECT_EQ(PythonRunner(/*may_read_files=*/false).defects(code, task).size(), 1U);
}

TEST(CodeCases, AReasonIsShort) {
    const auto reason = [](int n) {
        return reasons_of(double_it(), fmt::format("def f(n):\n    raise ValueError('x' * {})", n)).at(0);
    };
    EXPECT_EQ(reason(188), "ValueError: " + std::string(188, 'x'));
    EXPECT_EQ(reason(189), "ValueError: " + std::string(188, 'x') + "…");
}

TEST(CodeCases, LimitsAreThoseOfTheTask) {
    EXPECT_EQ(reasons_of(double_it(), "def f(n):\n    return float('nan')"), Reasons{"returns what is no JSON value"});
    EXPECT_EQ(reasons_of(double_it(), "def f(n):\n    while True: print('x' * 10000)"), Reasons{"prints without end"});
    EXPECT_EQ(reasons_of(double_it(), "def f(n):\n    bytearray(1 << 30)\n    return 2 * n"), Reasons{"MemoryError: "});
    Task large = double_it();
    large.memory_bytes = uint64_t{2} << 30;
    EXPECT_EQ(reasons_of(large, "def f(n):\n    bytearray(1 << 30)\n    return 2 * n"), Reasons{});
    EXPECT_EQ(reasons_of(double_it(), "def f(n):\n    return 2 * n  # \xFF"), Reasons{}) << "no UTF-8";
    Task quick = double_it();
    quick.time = std::chrono::milliseconds(250);
    EXPECT_EQ(reasons_of(quick, "def f(n):\n    while True: pass"), Reasons{"did not end within 250 ms"});
}

// --- code that means harm

TEST(HostileCode, WhatItSaysBehindTheMarkIsReadWithCare) {
    // The mark is in a closure of the driver, which code can find in the frames above it.
    const std::string find_mark =
        "import sys\ndef f(n):\n    frame = sys._getframe(1)\n    while frame is not None:\n"
        "        say = frame.f_globals.get('say')\n        if say: break\n        frame = frame.f_back\n"
        "    mark, out = say.__closure__[0].cell_contents, say.__closure__[1].cell_contents\n"
        "    if not isinstance(mark, str): mark, out = out, mark\n"
        "    out.write(mark + REPLY + '\\n')\n    out.flush()\n    return 2 * n\n";
    const auto with_reply = [&](const std::string & reply) {
        std::string code = find_mark;
        code.replace(code.find("REPLY"), 5, reply);
        return reasons_of(double_it(), code);
    };
    EXPECT_EQ(with_reply("'{}'"), Reasons{"returns what is no JSON value"});
    EXPECT_EQ(with_reply("'[' * 100000"), Reasons{"returns what is no JSON value"});
    EXPECT_EQ(with_reply("'{\"error\": [1]}'"), Reasons{"[1]"});
}

TEST(HostileCode, ControlsNoTerminal) {
    EXPECT_EQ(reasons_of(double_it(), "def f(n):\n    raise Exception('\\x1b[2Jgone\\nnext')\n"),
              Reasons{"Exception: ?[2Jgone?next"});
}

}  // namespace
}  // namespace shimmy::check

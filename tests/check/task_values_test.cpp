// Every key of a task file, with its default and its limits.
#include "base/error.h"
#include "base/files.h"
#include "base/text/units.h"
#include "check/task.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

namespace shimmy::check {
namespace {

class TaskFile : public ::testing::Test {
protected:
    std::vector<Task> tasks(const std::string & text) {
        write_file_atomic(dir_ / "tasks.toml", text);
        return read_tasks(dir_ / "tasks.toml");
    }

    // Of one task with these lines after id and prompt; empty if it is taken.
    std::string error(const std::string & lines) {
        try {
            tasks("[[tasks]]\nid = \"a\"\nprompt = \"p\"\n" + lines);
        } catch (const UsageError & error) {
            return error.what();
        }
        return "";
    }

    bool refuses(const std::string & lines, const std::string & part) {
        return error(lines).find(part) != std::string::npos;
    }

    TempDir dir_;
};

TEST_F(TaskFile, CodeAsWritten) {
    const Task task = tasks(R"([[tasks]]
id = "sum"
kind = "code"
prompt = "Add."
max_tokens = 77
concepts = ["def", ["add", "sum"]]
function = "add"
time_ms = 1234
memory = "64MiB"
cases = [{ arguments = [1, 2.5, "x", true, [3]], returns = [4, [5.5]] }, { arguments = [false], returns = false }]
)")
                          .at(0);
    EXPECT_EQ(task.id, "sum");
    EXPECT_EQ(task.kind, Kind::code);
    EXPECT_EQ(task.prompt, "Add.");
    EXPECT_EQ(task.max_tokens, 77);
    ASSERT_EQ(task.concepts.size(), 2U);
    EXPECT_EQ(task.concepts[0].words, std::vector<std::string>{"def"});
    EXPECT_EQ(task.concepts[1].words, (std::vector<std::string>{"add", "sum"}));
    EXPECT_EQ(task.function, "add");
    EXPECT_EQ(task.time, std::chrono::milliseconds(1234));
    EXPECT_EQ(task.memory_bytes, 64 * MIB);
    ASSERT_EQ(task.cases.size(), 2U);
    EXPECT_EQ(task.cases[0].arguments, Json::parse(R"([1, 2.5, "x", true, [3]])"));
    EXPECT_EQ(task.cases[0].returns, Json::parse("[4, [5.5]]"));
    EXPECT_EQ(task.cases[1].arguments, Json::array({false}));
    EXPECT_EQ(task.cases[1].returns, Json(false));
}

TEST_F(TaskFile, Defaults) {
    const std::vector<Task> all = tasks(R"(
[[tasks]]
id = "a"
kind = "code"
prompt = "p"
cases = [{ arguments = [1], returns = 1 }]
[[tasks]]
id = "b"
kind = "verse"
prompt = "p"
[[tasks]]
id = "c"
kind = "arithmetic"
prompt = "p"
result = 7
[[tasks]]
id = "d"
kind = "explanation"
prompt = "p"
concepts = ["x"]
)");
    ASSERT_EQ(all.size(), 4U);
    EXPECT_EQ(all[0].max_tokens, 256);
    EXPECT_EQ(all[0].function, "");
    EXPECT_EQ(all[0].time, std::chrono::milliseconds(5000));
    EXPECT_EQ(all[0].memory_bytes, 512 * MIB);
    EXPECT_TRUE(all[0].concepts.empty());
    EXPECT_EQ(all[1].kind, Kind::verse);
    EXPECT_EQ(all[1].min_lines, 4);
    EXPECT_EQ(all[1].min_stanzas, 1);
    EXPECT_EQ(all[1].lines_per_stanza, 0);
    EXPECT_EQ(all[1].max_words_per_line, 14);
    EXPECT_EQ(all[2].kind, Kind::arithmetic);
    EXPECT_EQ(all[2].result, 7.0);
    EXPECT_EQ(all[3].kind, Kind::explanation);
}

TEST_F(TaskFile, VerseAsWritten) {
    const Task task = tasks(
                          "[[tasks]]\nid = \"v\"\nkind = \"verse\"\nprompt = \"p\"\nmin_lines = 8\nmin_stanzas = 2\n"
                          "lines_per_stanza = 4\nmax_words_per_line = 9\n")
                          .at(0);
    EXPECT_EQ(task.min_lines, 8);
    EXPECT_EQ(task.min_stanzas, 2);
    EXPECT_EQ(task.lines_per_stanza, 4);
    EXPECT_EQ(task.max_words_per_line, 9);
}

TEST_F(TaskFile, LimitsOnBothSides) {
    const std::string verse = "kind = \"verse\"\n";
    for (const std::string key : {"min_lines", "min_stanzas", "lines_per_stanza", "max_words_per_line"}) {
        EXPECT_EQ(error(verse + key + " = 1\n"), "") << key;
        EXPECT_TRUE(refuses(verse + key + " = 0\n", "tasks.toml:5: '" + key + "'")) << error(verse + key + " = 0\n");
    }
    EXPECT_EQ(error(verse + "max_tokens = 1\n"), "");
    EXPECT_EQ(error(verse + "max_tokens = 65536\n"), "");
    EXPECT_TRUE(refuses(verse + "max_tokens = 0\n", "'max_tokens'"));
    EXPECT_TRUE(refuses(verse + "max_tokens = 65537\n", "'max_tokens'"));
    const std::string code = "kind = \"code\"\ncases = [{ arguments = [1], returns = 1 }]\n";
    EXPECT_EQ(error(code + "time_ms = 1\n"), "");
    EXPECT_EQ(error(code + "time_ms = 600000\n"), "");
    EXPECT_TRUE(refuses(code + "time_ms = 0\n", "'time_ms'"));
    EXPECT_TRUE(refuses(code + "time_ms = 600001\n", "'time_ms'"));
    EXPECT_TRUE(refuses(code + "memory = \"much\"\n", "tasks.toml: memory"));
}

TEST_F(TaskFile, MistakesOfEveryKind) {
    EXPECT_TRUE(refuses("kind = \"code\"\ncases = [{ arguments = 1, returns = 1 }]\n", "'arguments' must be a list"));
    EXPECT_TRUE(refuses("kind = \"code\"\ncases = [{ returns = 1 }]\n", "needs 'arguments'"));
    EXPECT_TRUE(refuses("kind = \"code\"\ncases = [{ arguments = [1], returns = 1, x = 2 }]\n", "unknown key 'x'"));
    EXPECT_TRUE(refuses("kind = \"code\"\ncases = [{ arguments = [2020-01-01], returns = 1 }]\n", "a value of a case"));
    EXPECT_TRUE(refuses("kind = \"explanation\"\nconcepts = [[]]\n", "needs a word"));
    EXPECT_TRUE(refuses("kind = \"explanation\"\nconcepts = [1]\n", "'concepts'"));
    EXPECT_TRUE(refuses("kind = \"verse\"\nresult = 1\n", "unknown key 'result'"));
    EXPECT_TRUE(refuses("kind = \"arithmetic\"\nresult = \"1\"\n", "'result' must be a number"));
    EXPECT_THROW(tasks("[[tasks]]\nid = \"a\"\nkind = \"verse\"\nprompt = \"p\"\n[other]\n"), UsageError);
    EXPECT_THROW(tasks("[[tasks]]\nkind = \"verse\"\nprompt = \"p\"\n"), UsageError);
    EXPECT_THROW(tasks("[[tasks]]\nid = \"a\"\nkind = \"verse\"\n"), UsageError);
}

}  // namespace
}  // namespace shimmy::check

#include "check/task.h"

#include "base/error.h"
#include "base/files.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

namespace shimmy::check {
namespace {

TEST(Tasks, TheBuiltInOnesCoverEveryKind) {
    const std::vector<Task> tasks = read_tasks(builtin_tasks());
    for (const Kind kind : {Kind::code, Kind::arithmetic, Kind::verse, Kind::explanation})
        EXPECT_TRUE(std::any_of(tasks.begin(), tasks.end(), [&](const Task & task) { return task.kind == kind; }))
            << to_string(kind);
}

TEST(Tasks, MistakesNameFileAndLine) {
    const TempDir dir;
    const auto message = [&](const std::string & text) -> std::string {
        write_file_atomic(dir / "tasks.toml", text);
        try {
            read_tasks(dir / "tasks.toml");
        } catch (const UsageError & error) {
            return error.what();
        }
        return "no error";
    };
    const std::string head = "[[tasks]]\nid = \"a\"\nprompt = \"p\"\n";
    EXPECT_NE(message("tasks = 1").find("tasks.toml:1"), std::string::npos);
    EXPECT_NE(message("").find("no [[tasks]]"), std::string::npos);
    EXPECT_NE(message(head + "kind = \"song\"\n").find("tasks.toml:4: unknown kind 'song'"), std::string::npos);
    EXPECT_NE(message(head + "kind = \"code\"\n").find("needs 'cases'"), std::string::npos);
    EXPECT_NE(message(head + "kind = \"code\"\ncases = [{ arguments = [1] }]\n").find("needs 'arguments'"),
              std::string::npos);
    EXPECT_NE(message(head + "kind = \"arithmetic\"\n").find("needs 'result'"), std::string::npos);
    EXPECT_NE(message(head + "kind = \"explanation\"\n").find("needs 'concepts'"), std::string::npos);
    EXPECT_NE(message(head + "kind = \"verse\"\nrhymes = 2\n").find("unknown key 'rhymes'"), std::string::npos);
    EXPECT_NE(message(head + "kind = \"verse\"\n" + head + "kind = \"verse\"\n").find("listed twice"),
              std::string::npos);
    EXPECT_NE(message("[[tasks]").find("tasks.toml:1"), std::string::npos);
}

}  // namespace
}  // namespace shimmy::check

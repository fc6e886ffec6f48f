// llama.cpp's own server tests, as they are, against `shimmy serve` with the embedded model.
#include "base/error.h"
#include "base/files.h"
#include "e2e/program.h"
#include "temp_dir.h"

#include <regex>
#include <sstream>

namespace shimmy::e2e {
namespace {

const fs::path HERE = fs::path(SHIMMY_SOURCE_DIR) / "tests/slow/llama_server";

// Files and tests of excluded.txt, each with the reason behind it.
std::vector<std::string> excluded() {
    std::istringstream lines(read_file(HERE / "excluded.txt"));
    std::vector<std::string> names;
    for (std::string line; std::getline(lines, line);) {
        if (line.empty() || line.starts_with('#')) continue;
        const size_t reason = line.find("  # ");
        EXPECT_NE(reason, std::string::npos) << "no reason: " << line;
        names.push_back(line.substr(0, reason));
    }
    return names;
}

// "12 passed, 3 skipped, 40 deselected in 33.1s"
int number_of(const std::string & what, const std::string & out) {
    std::smatch match;
    return std::regex_search(out, match, std::regex("([0-9]+) " + what)) ? std::stoi(match[1]) : 0;
}

TEST(SlowLlamaServer, ItsOwnTestsPass) {
    const TempDir dir;
    const fs::path tests = dir.path() / "tools/server/tests";  // they look for templates in ../../../models
    fs::create_directories(tests.parent_path());
    fs::copy(fs::path(SHIMMY_LLAMA_DIR) / "tools/server/tests", tests, fs::copy_options::recursive);
    fs::create_symlink(fs::path(SHIMMY_LLAMA_DIR) / "models", dir.path() / "models");
    fs::create_directory(dir.path() / "tmp");
    std::string command = fmt::format(
        "cd '{}' && exec env PYTHONPATH='{}' TMPDIR='{}' LLAMA_SERVER_BIN_PATH='{}' SHIMMY_PROGRAM='{}' "
        "SHIMMY_MODEL='{}' "
        "PORT=18437 /usr/bin/python3 -m pytest -q -ra -p no:cacheprovider -m 'not slow' unit",
        tests.string(), (HERE / "python").string(), (dir.path() / "tmp").string(), (HERE / "as_llama_server").string(),
        SHIMMY_PROGRAM, tiny_moe().string());
    for (const std::string & name : excluded()) {
        EXPECT_TRUE(fs::exists(tests / name.substr(0, name.find("::")))) << name;
        command += fmt::format(" {} '{}'", name.find("::") == std::string::npos ? "--ignore" : "--deselect", name);
    }
    const ProcessResult result = run_process({"bash", "-c", command}, std::chrono::minutes(30));
    EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
    EXPECT_EQ(number_of("failed", result.out) + number_of("error", result.out), 0) << result.out;
    EXPECT_GE(number_of("passed", result.out), 110) << result.out;
    RecordProperty("passed", number_of("passed", result.out));
}

}  // namespace
}  // namespace shimmy::e2e

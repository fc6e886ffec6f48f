#include "cli/command.h"
#include "cli/print/completion_scripts.h"

#include "base/files.h"
#include "base/process/subprocess.h"
#include "temp_dir.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

namespace shimmy::cli {
namespace {

// Commands with every kind of option, next to real ones.
CommandRow make_table() {
    CLI::App app{"test", "shimmy"};
    Commands commands(app);
    CLI::App * generate = commands.add("generate", "generate 'text' [quickly]", [] { return 0; });
    static std::string text;
    static bool flag = false;
    generate->add_option("name", text, "model")->type_name("FILE|NAME");
    generate->add_option("--model", text, "a model: file")->type_name("FILE|NAME");
    generate->add_option("--max-tokens,-n", text, "tokens")->type_name("N");
    generate->add_option("--out-dir", text, "folder")->type_name("DIR");
    generate->add_option("--mode", text, "mode")->check(CLI::IsMember({"quick", "slow"}));
    generate->add_flag("--raw", flag, "no template");
    add_list(commands);
    add_lab(commands);
    add_completion(commands);
    return read_options_table(app);
}

class BashCompletion : public ::testing::Test {
protected:
    BashCompletion() {
        write_file_atomic(dir_ / "shimmy.bash", bash_completion(make_table()));
        // Stands in for the program when the script asks it for the names of models.
        write_file_atomic(dir_ / "shimmy", "#!/bin/sh\nprintf 'phi-moe\\ntiny-moe\\n'\n");
        fs::permissions(dir_ / "shimmy", fs::perms::owner_all);
        write_file_atomic(dir_ / "phi.gguf", "x");
        fs::create_directory(dir_ / "photos");
    }

    // What bash offers for the last of `words`, cut as bash cuts a command line.
    std::vector<std::string> complete(const std::vector<std::string> & words) const {
        std::string script =
            fmt::format("cd {0}; PATH={0}:$PATH; source ./shimmy.bash; COMP_WORDS=(shimmy", dir_.path().string());
        for (const std::string & word : words)
            script += " " + shell_quoted(word);
        script += fmt::format("); COMP_CWORD={}; _shimmy; printf '%s\\n' \"${{COMPREPLY[@]}}\"", words.size());
        const ProcessResult result = run_process({"bash", "--norc", "-c", script});
        EXPECT_EQ(result.exit_code, 0) << result.err;
        EXPECT_EQ(result.err, "");
        std::vector<std::string> offers;
        std::istringstream stream(result.out);
        for (std::string line; std::getline(stream, line);) {
            if (!line.empty()) offers.push_back(line);
        }
        std::sort(offers.begin(), offers.end());
        return offers;
    }

    TempDir dir_;
};

using Words = std::vector<std::string>;

TEST_F(BashCompletion, Commands) {
    EXPECT_EQ(complete({"gen"}), (Words{"generate"}));
    EXPECT_EQ(complete({""}), (Words{"completion", "generate", "lab", "list"}));
    EXPECT_EQ(complete({"lab", "r"}), (Words{"report", "run"}));
    EXPECT_EQ(complete({"--json", "gen"}), (Words{"generate"}));
    EXPECT_EQ(complete({"--gpu-backend", "cpu", "gen"}), (Words{"generate"})) << "cpu is a value, not a command";
}

TEST_F(BashCompletion, Options) {
    EXPECT_EQ(complete({"generate", "--mo"}), (Words{"--mode", "--model", "--model-dirs", "--moe-backend"}));
    EXPECT_EQ(complete({"lab", "run", "--dry"}), (Words{"--dry-run"}));
    EXPECT_EQ(complete({"list", "--sh"}), (Words{"--short"}));
    EXPECT_EQ(complete({"list", "--max"}), (Words{})) << "an option of another command";
    EXPECT_EQ(complete({"generate", "--cpu"}), (Words{"--cpu-moe"})) << "an option of all commands";
}

TEST_F(BashCompletion, ValuesOfOptions) {
    EXPECT_EQ(complete({"generate", "--model", "ph"}), (Words{"phi-moe", "phi.gguf", "photos"}));
    EXPECT_EQ(complete({"generate", "--model", "=", "phi."}), (Words{"phi.gguf"}));
    EXPECT_EQ(complete({"generate", "--model", "="}),
              (Words{"phi-moe", "phi.gguf", "photos", "shimmy", "shimmy.bash", "tiny-moe"}));
    EXPECT_EQ(complete({"generate", "--mode", ""}), (Words{"quick", "slow"}));
    EXPECT_EQ(complete({"generate", "--out-dir", "ph"}), (Words{"photos"}));
    EXPECT_EQ(complete({"generate", "--max-tokens", ""}), (Words{}));
    EXPECT_EQ(complete({"generate", "--gpu-backend", "v"}), (Words{"vulkan"}));
    EXPECT_EQ(complete({"generate", "tiny"}), (Words{"tiny-moe"}));
    EXPECT_EQ(complete({"completion", "z"}), (Words{"zsh"}));
}

bool is_installed(const std::string & program) {
    return run_process({"sh", "-c", "command -v " + program}).ok();
}

void expect_valid_syntax(const std::string & shell, const std::string & script) {
    if (!is_installed(shell)) GTEST_SKIP() << shell << " is not installed";
    const TempDir dir;
    write_file_atomic(dir / "script", script);
    const ProcessResult result = run_process({shell, "-n", (dir / "script").string()});
    EXPECT_EQ(result.exit_code, 0) << result.err;
}

TEST(ZshCompletion, IsValid) {
    expect_valid_syntax("zsh", zsh_completion(make_table()));
}

TEST(FishCompletion, IsValid) {
    expect_valid_syntax("fish", fish_completion(make_table()));
}

TEST(FishCompletion, Offers) {
    if (!is_installed("fish")) GTEST_SKIP() << "fish is not installed";
    const TempDir dir;
    write_file_atomic(dir / "shimmy.fish", fish_completion(make_table()));
    const auto offers = [&](const std::string & line) {
        const std::string command =
            fmt::format("source {}/shimmy.fish; complete -C {}", dir.path().string(), shell_quoted(line));
        return run_process({"fish", "--no-config", "-c", command}).out;
    };
    EXPECT_EQ(offers("shimmy gen"), "generate\tgenerate 'text' [quickly]\n");
    EXPECT_EQ(offers("shimmy generate --mode s"), "slow\tmode\n");
    EXPECT_EQ(offers("shimmy lab "), "run\trun a campaign: quantize, measure every combination, print the table\n");
}

TEST(ShellQuoted, QuotesInside) {
    EXPECT_EQ(shell_quoted("it's"), "'it'\\''s'");
    EXPECT_EQ(shell_quoted(""), "''");
}

}  // namespace
}  // namespace shimmy::cli

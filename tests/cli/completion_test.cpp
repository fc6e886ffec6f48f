#include "cli/command.h"
#include "cli/placement_options.h"
#include "cli/table/complete.h"

#include "base/files.h"
#include "base/process/subprocess.h"
#include "base/text/text.h"
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
    add_model_dirs_option(*generate, commands.globals());
    add_placement_options(*generate, commands.globals(), DefaultPlacement::automatic);
    add_backend_options(*generate, commands.globals());
    add_list(commands);
    add_lab(commands);
    add_completion(commands);
    return read_options_table(app);
}

using Words = std::vector<std::string>;

// What is offered for the last of `words`, in the order of the alphabet, in a folder with phi.gguf, .hidden.gguf and
// photos/.
class Completion : public ::testing::Test {
protected:
    Completion() : before_(fs::current_path()) {
        write_file_atomic(dir_ / "phi.gguf", "x");
        write_file_atomic(dir_ / ".hidden.gguf", "x");
        fs::create_directory(dir_ / "photos");
        write_file_atomic(dir_ / "photos/album.gguf", "x");
        fs::current_path(dir_.path());
    }
    ~Completion() override { fs::current_path(before_); }

    static Words offers(const Words & words) {
        Words out;
        for (const Candidate & candidate : candidates(words).all)
            out.push_back(candidate.word);
        std::sort(out.begin(), out.end());
        return out;
    }

    static Candidates candidates(const Words & words) {
        return complete(make_table(), words, [] { return Words{"phi-moe", "tiny-moe"}; });
    }

    TempDir dir_;
    fs::path before_;
};

TEST_F(Completion, Commands) {
    EXPECT_EQ(offers({"gen"}), (Words{"generate"}));
    EXPECT_EQ(offers({""}), (Words{"completion", "generate", "lab", "list"}));
    EXPECT_EQ(offers({"lab", "r"}), (Words{"report", "run"}));
    EXPECT_EQ(offers({"--json", "gen"}), (Words{"generate"}));
    EXPECT_EQ(offers({"--gpu-backend", "cpu", "gen"}), (Words{"generate"})) << "cpu is a value, not a command";
    EXPECT_EQ(offers({"--gpu-backend=cpu", "gen"}), (Words{"generate"}));
    EXPECT_EQ(offers({"nonsense", "gen"}), (Words{"generate"}));
    EXPECT_EQ(offers({}), (Words{}));
    EXPECT_EQ(candidates({"gen"}).all.front().description, "generate 'text' [quickly]");
    EXPECT_FALSE(candidates({"gen"}).are_files);
}

TEST_F(Completion, Options) {
    EXPECT_EQ(offers({"generate", "--mo"}),
              (Words{"--mode", "--model", "--model-dirs", "--moe-backend", "--moe-cache", "--moe-gpu-min-batch"}));
    EXPECT_EQ(offers({"lab", "run", "--dry"}), (Words{"--dry-run"}));
    EXPECT_EQ(offers({"list", "--sh"}), (Words{"--short"}));
    EXPECT_EQ(offers({"list", "--max"}), (Words{})) << "an option of another command";
    EXPECT_EQ(offers({"generate", "--cpu"}), (Words{"--cpu-moe"})) << "an option of several commands";
    EXPECT_EQ(offers({"generate", "--hel"}), (Words{"--help"})) << "which every command has, once";
    EXPECT_EQ(offers({"generate", "-n"}), (Words{"-n"}));
}

TEST_F(Completion, ValuesOfOptions) {
    EXPECT_EQ(offers({"generate", "--model", "ph"}), (Words{"phi-moe", "phi.gguf", "photos/"}));
    EXPECT_EQ(offers({"generate", "--model=ph"}), (Words{"--model=phi-moe", "--model=phi.gguf", "--model=photos/"}));
    EXPECT_EQ(offers({"generate", "--model", "=", "phi."}), (Words{"phi.gguf"})) << "as bash cuts it";
    EXPECT_EQ(offers({"generate", "--model", "="}), (Words{"phi-moe", "phi.gguf", "photos/", "tiny-moe"}));
    EXPECT_EQ(offers({"generate", "--mode", ""}), (Words{"quick", "slow"}));
    EXPECT_EQ(offers({"generate", "--mode", "slow", "--mode", "q"}), (Words{"quick"}));
    EXPECT_EQ(offers({"generate", "--out-dir", "ph"}), (Words{"photos/"}));
    EXPECT_EQ(offers({"generate", "-n", ""}), (Words{}));
    EXPECT_EQ(offers({"generate", "--raw", "tiny"}), (Words{"tiny-moe"})) << "--raw takes no value";
    EXPECT_EQ(offers({"generate", "--raw="}), (Words{}));
    EXPECT_EQ(offers({"generate", "--gpu-backend", "v"}), (Words{"vulkan"}));
    EXPECT_EQ(offers({"completion", "z"}), (Words{"zsh"}));
    EXPECT_EQ(offers({"completion", "zsh", ""}), (Words{})) << "it takes one shell";
}

TEST_F(Completion, Files) {
    EXPECT_EQ(offers({"generate", "photos/"}), (Words{"photos/album.gguf"}));
    EXPECT_EQ(offers({"generate", "./ph"}), (Words{"./phi.gguf", "./photos/"}));
    EXPECT_EQ(offers({"generate", ".h"}), (Words{".hidden.gguf"}));
    EXPECT_EQ(offers({"generate", dir_.path().string() + "/pho"}), (Words{dir_.path().string() + "/photos/"}));
    EXPECT_EQ(offers({"generate", "nowhere/"}), (Words{}));
    EXPECT_TRUE(candidates({"generate", "phi."}).are_files);
}

TEST_F(Completion, FilesAtHome) {
    const std::string home = std::getenv("HOME");
    setenv("HOME", dir_.path().c_str(), 1);
    EXPECT_EQ(offers({"generate", "~/pho"}), (Words{"~/photos/"}));
    setenv("HOME", home.c_str(), 1);
}

TEST(CompletionLines, HaveADescriptionAndSayWhetherTheyAreFiles) {
    EXPECT_EQ(to_lines({{{"run", "run it"}, {"x", ""}}, false}), "run\trun it\nx\t\n");
    EXPECT_EQ(to_lines({{{"a b", ""}}, true}), ":files\t\na b\t\n");
}

// Real shells, which ask the real program.
class CompletionInShell : public ::testing::Test {
protected:
    CompletionInShell() {
        fs::create_symlink(SHIMMY_PROGRAM, dir_ / "shimmy");
        for (const char * shell : {"bash", "zsh", "fish"})
            write_file_atomic(dir_ / shell, completion_script(shell));
        write_file_atomic(dir_ / "my model.gguf", "x");
    }

    std::string run(const std::string & shell, const std::string & options, const std::string & script) const {
        const std::string path = fmt::format("PATH={}:{}", dir_.path().string(), std::getenv("PATH"));
        const std::string in_folder = fmt::format("cd {}; {}", dir_.path().string(), script);
        const ProcessResult result = run_process({"env", path, shell, options, "-c", in_folder});
        EXPECT_EQ(result.exit_code, 0) << result.err;
        EXPECT_EQ(result.err, "");
        return result.out;
    }

    TempDir dir_;
};

TEST_F(CompletionInShell, Bash) {
    const auto offers = [&](const std::string & words, int n) {
        return run(
            "bash", "--norc",
            fmt::format("source ./bash; COMP_WORDS=({}); COMP_CWORD={}; _shimmy; printf '%s|' \"${{COMPREPLY[@]}}\"",
                        words, n));
    };
    EXPECT_EQ(offers("shimmy lab r", 2), "run|report|");
    EXPECT_EQ(offers("shimmy generate --model = my", 4), "my model.gguf|");
    EXPECT_EQ(offers("shimmy generate --temp later", 2), "--temperature|") << "the cursor is before the last word";
}

TEST_F(CompletionInShell, Zsh) {
    const auto offers = [&](const std::string & words, int n) {
        return run("zsh", "-f",
                   fmt::format("_describe() {{ print -rl -- \"${{(@P)2}}\" }}; compadd() {{ print -rl -- $folders }}; "
                               "source ./zsh; words=({}); CURRENT={}; _shimmy",
                               words, n));
    };
    EXPECT_EQ(offers("shimmy lab st", 3), "\nstatus:show the progress of a campaign, also while it runs\n");
    EXPECT_NE(offers("shimmy generate --model=my", 3).find("--model=my model.gguf:"), std::string::npos);
}

TEST_F(CompletionInShell, Fish) {
    const auto offers = [&](const std::string & line) {
        return run("fish", "--no-config", fmt::format("source ./fish; complete -C {}", shell_quoted(line)));
    };
    EXPECT_EQ(offers("shimmy lab st"), "status\tshow the progress of a campaign, also while it runs\n");
    EXPECT_EQ(offers("shimmy completion z"), "zsh\n");
    EXPECT_EQ(offers("shimmy generate --model my"), "my model.gguf\n");
}

}  // namespace
}  // namespace shimmy::cli

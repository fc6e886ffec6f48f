#include "cli/print/reference_page.h"

#include "cli/command.h"
#include "cli/numbers.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>

namespace shimmy::cli {
namespace {

struct Values {
    std::string prompt;
    std::string input;
    int max_tokens = 100;
    double top_p = 0.9;
    std::string mode = "quick";
    bool raw = false;
};

std::string make_page() {
    CLI::App app{"test", "shimmy"};
    Commands commands(app);
    const auto values = std::make_shared<Values>();
    CLI::App * command = commands.add("generate", "generate text", [] { return 0; });
    command->add_option("input", values->input, "the model")->type_name("FILE|NAME")->required();
    auto * prompt = command->add_option("--prompt,-p", values->prompt, "what to say")->type_name("TEXT");
    command->add_option("--max-tokens", values->max_tokens, "at most")
        ->type_name("N")
        ->check(above_zero())
        ->capture_default_str();
    command->add_option("--top-p", values->top_p, "nucleus")
        ->type_name("P")
        ->check(from_to(0.0, 1.0))
        ->capture_default_str();
    command->add_option("--mode", values->mode, "how")->check(CLI::IsMember({"quick", "slow"}))->capture_default_str();
    command->add_flag("--raw", values->raw, "no template")->excludes(prompt);
    command->footer("Exit codes: 3 on Sundays.");
    add_lab(commands);
    return reference_page(read_options_table(app));
}

void expect_line(const std::string & page, const std::string & line) {
    EXPECT_NE(page.find("\n" + line + "\n"), std::string::npos) << line << "\nis not in\n" << page;
}

TEST(Reference, OptionsWithTypeDefaultChoicesAndRange) {
    const std::string page = make_page();
    expect_line(page, "## shimmy generate");
    expect_line(page, "shimmy generate input [options]");
    expect_line(page, "| `input` | `FILE\\|NAME` |  | the model (required) |");
    expect_line(page, "| `--prompt`, `-p` | `TEXT` |  | what to say (not with `--raw`) |");
    expect_line(page, "| `--max-tokens` | `N` | `100` | at most (more than 0) |");
    expect_line(page, "| `--mode` | `quick`, `slow` | `quick` | how |");
    expect_line(page, "| `--raw` |  |  | no template (not with `--prompt`) |");
    expect_line(page, "| `--top-p` | `P` | `0.9` | nucleus (0 to 1) |");
    expect_line(page, "Generate text.");
    expect_line(page, "Exit codes: 3 on Sundays.");
}

TEST(Reference, ExitCodesGlobalOptionsAndNestedCommands) {
    const std::string page = make_page();
    for (const char * piece : {"| 0 | done |", "| 130 |", "## Options for all commands", "| `--json` |", "`--verbose`",
                               "| [`shimmy lab run`](#shimmy-lab-run) |", "## shimmy lab run", "`CAMPAIGN.toml`"}) {
        EXPECT_NE(page.find(piece), std::string::npos) << piece;
    }
    EXPECT_NE(page.find("--help"), std::string::npos);
    EXPECT_EQ(page.find("--help"), page.rfind("--help")) << "said once, not per command";
}

TEST(Reference, DoesNotDependOnTheTerminal) {
    setenv("COLUMNS", "40", 1);
    setenv("LANG", "de_DE.UTF-8", 1);
    const std::string narrow = make_page();
    setenv("COLUMNS", "200", 1);
    setenv("LANG", "C", 1);
    EXPECT_EQ(narrow, make_page());
}

}  // namespace
}  // namespace shimmy::cli

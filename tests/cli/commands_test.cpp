// The options table of the whole program, without running any of it.
#include "cli/command.h"
#include "cli/options_table.h"
#include "cli/placement_options.h"
#include "cli/print/reference_page.h"

#include "base/error.h"
#include "base/files.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace shimmy::cli {
namespace {

class Program : public ::testing::Test {
protected:
    Program() : commands_(with_version(app_)) { add_all(commands_); }

    // As the program has it: first of all.
    static CLI::App & with_version(CLI::App & app) {
        app.set_version_flag("--version", "shimmy 0");
        return app;
    }

    // Parses and gives the name of the error; "" if all is well.
    std::string error_of(std::vector<std::string> words) {
        std::reverse(words.begin(), words.end());  // as CLI11 takes them
        try {
            app_.parse(words);
        } catch (const CLI::ExtrasError &) {
            return "ExtrasError";  // CLI11 gives it the program's name
        } catch (const CLI::ParseError & error) {
            return error.get_name();
        }
        return "";
    }

    CLI::App app_{"test", "shimmy"};
    Commands commands_;
};

TEST_F(Program, EveryCommandHasHelp) {
    const CommandRow table = read_options_table(app_);
    const std::vector<const CommandRow *> rows = runnable_commands(table);
    EXPECT_GT(rows.size(), 20U);
    for (const CommandRow * row : rows) {
        std::vector<std::string> words = row->path;
        words.emplace_back("--help");
        EXPECT_EQ(error_of(words), "CallForHelp") << words.front();
        EXPECT_FALSE(row->summary.empty()) << words.front();
        EXPECT_NE(row->summary.back(), '.') << words.front() << ": the page adds the full stop";
        for (const std::vector<OptionRow> * options : {&row->options, &row->positionals}) {
            for (const OptionRow & option : *options)
                EXPECT_FALSE(option.description.empty()) << words.front() << " " << option.name;
        }
    }
}

TEST_F(Program, TheReferencePageIsTheOneInDocs) {
    // Not EXPECT_EQ, which would print both pages.
    EXPECT_TRUE(reference_page(read_options_table(app_)) == read_file(fs::path(SHIMMY_SOURCE_DIR) / "docs/CLI.md"))
        << "docs/CLI.md is another page: run `make docs`";
}

TEST_F(Program, OptionsForAllCommandsBeforeAndAfterTheName) {
    EXPECT_EQ(error_of({"--json", "list", "-v", "--model-dirs", "/a;/b", "-v", "--rpc", "h:1"}), "");
    EXPECT_TRUE(commands_.globals().json);
    EXPECT_EQ(commands_.globals().verbosity, 2);
    EXPECT_EQ(commands_.globals().model_dirs, "/a;/b");
    EXPECT_EQ(commands_.globals().rpc_servers, "h:1");
    EXPECT_EQ(commands_.globals().gpu_backend, "auto");
    EXPECT_EQ(commands_.globals().moe_backend, "auto");
    EXPECT_FALSE(commands_.globals().cpu_moe);
    EXPECT_EQ(commands_.globals().n_cpu_moe, std::nullopt);
}

TEST_F(Program, WhatIsNotTaken) {
    EXPECT_EQ(error_of({"list", "--gpu-backend", "metal"}), "ValidationError");
    EXPECT_EQ(error_of({"list", "--moe-backend", "maybe"}), "ValidationError");
    EXPECT_EQ(error_of({"list", "--cpu-moe", "--n-cpu-moe", "3"}), "ExcludesError");
    EXPECT_EQ(error_of({"list", "--n-cpu-moe", "-1"}), "ValidationError");
    EXPECT_EQ(error_of({"list", "--n-cpu-moe", "0"}), "");
    EXPECT_EQ(error_of({"list", "--no-such"}), "ExtrasError");
    EXPECT_EQ(error_of({"no-such"}), "ExtrasError");
    EXPECT_EQ(error_of({"lab"}), "RequiredError");
    EXPECT_EQ(error_of({"completion"}), "RequiredError");
    EXPECT_EQ(error_of({"plan", "--threads", "1025"}), "ValidationError");
    EXPECT_EQ(error_of({"plan", "--threads", "1024"}), "");
    EXPECT_EQ(error_of({"plan", "--threads", "0"}), "");
    EXPECT_EQ(error_of({"plan", "--threads", "-1"}), "ValidationError");
}

TEST_F(Program, NoCommandIsAnErrorOfItsOwn) {
    EXPECT_EQ(error_of({}), "");
    try {
        (void)commands_.run();
        ADD_FAILURE() << "ran something";
    } catch (const UsageError & error) {
        EXPECT_EQ(std::string(error.what()), "no command given (see shimmy --help)");
    }
}

TEST(CommandsRun, TheOneThatWasChosen) {
    CLI::App app{"test", "shimmy"};
    Commands commands(app);
    commands.add("one", "one", [] { return 1; });
    CLI::App * group = commands.add_group("group", "group");
    commands.add(
        "two", "two", [] { return 2; }, group);
    app.parse("group two");
    EXPECT_EQ(commands.run(), 2);
    app.parse("one");
    EXPECT_EQ(commands.run(), 1);
}

TEST(PlacementOption, FromTheGlobals) {
    Globals globals;
    EXPECT_EQ(placement_option(globals), engine::Placement::baseline());
    globals.n_cpu_moe = 0;
    EXPECT_EQ(placement_option(globals), engine::Placement::baseline());
    globals.n_cpu_moe = 7;
    EXPECT_EQ(placement_option(globals), engine::Placement::partial(7));
    globals.cpu_moe = true;
    EXPECT_EQ(placement_option(globals), engine::Placement::offload());
}

TEST(OptionsTable, WhatTheProgramTakesAsData) {
    CLI::App app{"test", "shimmy"};
    std::vector<std::string> texts;
    std::string text;
    bool flag = false;
    CLI::App * command = app.add_subcommand("do", "does");
    command->footer("Notes.");
    command->add_option("files", texts, "what")->type_name("FILE")->required();
    auto * mode = command->add_option("--mode,-m", text, "how")->check(CLI::IsMember({"a", "b"}));
    command->add_option("--size", text, "how much")->type_name("SIZE")->check(CLI::Range(1, 3))->excludes(mode);
    command->add_flag("--loud", flag, "louder");
    const CommandRow root = read_options_table(app);
    ASSERT_EQ(root.commands.size(), 1U);
    const CommandRow & row = root.commands[0];
    EXPECT_EQ(row.path, std::vector<std::string>{"do"});
    EXPECT_EQ(row.summary, "does");
    EXPECT_EQ(row.notes, "Notes.");
    ASSERT_EQ(row.positionals.size(), 1U);
    EXPECT_EQ(row.positionals[0].name, "files");
    EXPECT_TRUE(row.positionals[0].required);
    EXPECT_TRUE(row.positionals[0].repeated);
    EXPECT_TRUE(row.positionals[0].takes_file());
    EXPECT_FALSE(row.positionals[0].takes_model_name());
    ASSERT_EQ(row.options.size(), 4U);
    EXPECT_EQ(row.options[1].flags, (std::vector<std::string>{"--mode", "-m"}));
    EXPECT_EQ(row.options[1].choices, (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(row.options[1].excludes, std::vector<std::string>{"--size"});
    EXPECT_EQ(row.options[1].range, "");
    EXPECT_FALSE(row.options[1].required);
    EXPECT_FALSE(row.options[1].repeated);
    EXPECT_EQ(row.options[2].type, "SIZE");
    EXPECT_EQ(row.options[2].range, "INT in [1 - 3]");
    EXPECT_TRUE(row.options[2].choices.empty());
    EXPECT_TRUE(row.options[2].takes_value());
    EXPECT_FALSE(row.options[3].takes_value());
    EXPECT_EQ(runnable_commands(root).size(), 1U);
}

TEST(OptionsTable, TypesThatAreFilesFoldersAndNames) {
    const auto row = [](const std::string & type, bool positional) {
        OptionRow option;
        option.type = type;
        if (!positional) option.flags = {"--x"};
        return option;
    };
    EXPECT_TRUE(row("FILE|NAME", false).takes_model_name());
    EXPECT_TRUE(row("NAME", true).takes_model_name());
    EXPECT_FALSE(row("NAME", false).takes_model_name()) << "of a device, say";
    EXPECT_TRUE(row("NAME|SPEC.toml", false).takes_file());
    EXPECT_TRUE(row("DIRS", false).takes_dir());
    EXPECT_TRUE(row("DIR", false).takes_dir());
    EXPECT_FALSE(row("DIR", false).takes_file());
    EXPECT_FALSE(row("FILES", false).takes_file());
    EXPECT_FALSE(row("FILE", false).takes_dir());
}

}  // namespace
}  // namespace shimmy::cli

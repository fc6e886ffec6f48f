// The options table of the whole program, without running any of it.
#include "cli/command.h"
#include "cli/numbers.h"
#include "cli/placement_options.h"
#include "cli/print/reference_page.h"
#include "cli/table/options_table.h"

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
        const std::string line = "`shimmy " + fmt::format("{}", fmt::join(row->path, " "));
        EXPECT_NE(row->notes.find("Example"), std::string::npos) << line;
        EXPECT_NE(row->notes.find(line), std::string::npos) << line;
        for (const std::vector<OptionRow> * options : {&row->options, &row->positionals}) {
            for (const OptionRow & option : *options)
                EXPECT_FALSE(option.description.empty()) << words.front() << " " << option.name;
        }
    }
}

TEST_F(Program, HelpTellsOnceOfAnOptionWithAPlace) {
    const std::string help = app_.get_subcommand("bench")->help();
    const size_t place = help.find("  name FILE|NAME REQUIRED  "), by_name = help.find("  --model FILE|NAME  ");
    ASSERT_NE(place, std::string::npos) << help;
    ASSERT_NE(by_name, std::string::npos) << help;
    EXPECT_EQ(help.find("REQUIRED"), help.rfind("REQUIRED")) << "one of the two is enough";
    EXPECT_NE(help.find("the same, by its name", by_name), std::string::npos);
}

TEST_F(Program, TheReferencePageIsTheOneInDocs) {
    // Not EXPECT_EQ, which would print both pages.
    EXPECT_TRUE(reference_page(read_options_table(app_)) == read_file(fs::path(SHIMMY_SOURCE_DIR) / "docs/CLI.md"))
        << "docs/CLI.md is another page: run `make docs`";
}

TEST_F(Program, OptionsForAllCommandsBeforeAndAfterTheName) {
    EXPECT_EQ(error_of({"--json", "--rpc", "h:1", "probe", "-v", "--model-dirs", "/a;/b", "-v", "name"}), "");
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
    EXPECT_EQ(error_of({"probe", "m", "--gpu-backend", "metal"}), "ValidationError");
    EXPECT_EQ(error_of({"probe", "m", "--moe-backend", "maybe"}), "ValidationError");
    EXPECT_EQ(error_of({"probe", "m", "--cpu-moe", "--n-cpu-moe", "3"}), "ExcludesError");
    EXPECT_EQ(error_of({"probe", "m", "--placement", "gpu", "--n-cpu-moe", "3"}), "ExcludesError");
    EXPECT_EQ(error_of({"probe", "m", "--n-cpu-moe", "-1"}), "ValidationError");
    EXPECT_EQ(error_of({"probe", "m", "--n-cpu-moe", "0"}), "");
    EXPECT_EQ(error_of({"list", "--no-such"}), "ExtrasError");
    EXPECT_EQ(error_of({"no-such"}), "ExtrasError");
    EXPECT_EQ(error_of({"completion"}), "RequiredError");
    EXPECT_EQ(error_of({"plan", "--threads", "1025"}), "ValidationError");
    EXPECT_EQ(error_of({"plan", "--threads", "1024"}), "");
    EXPECT_EQ(error_of({"plan", "--threads", "0"}), "");
    EXPECT_EQ(error_of({"plan", "--threads", "-1"}), "ValidationError");
}

// Every option of every command that takes a number from a range.
TEST_F(Program, WhatIsNoNumberIsRefusedAndRangesAreReadable) {
    const CommandRow table = read_options_table(app_);
    size_t n_checked = 0;
    for (const CommandRow * row : runnable_commands(table)) {
        for (const OptionRow & option : row->options) {
            if (option.range.empty() || option.range.find_first_of("0123456789") == std::string::npos) continue;
            for (const std::string value : {"nan", "-nan", "inf", "-Infinity", "nan(1)", "1e999", "many", "-1"}) {
                std::vector<std::string> words = row->path;
                words.push_back(option.flags.front() + "=" + value);
                std::reverse(words.begin(), words.end());
                std::string message;
                try {
                    app_.parse(words);
                } catch (const CLI::ValidationError & error) {
                    message = error.what();
                } catch (const CLI::ParseError & error) {
                    message = error.get_name();
                }
                const std::string wrong = value == "-1" ? " must " : " is not a number";
                EXPECT_NE(message.find(option.flags.front() + ": " + value + wrong), std::string::npos)
                    << row->path.back() << " " << option.flags.front() << " " << value << ": " << message;
                ++n_checked;
            }
        }
    }
    EXPECT_GT(n_checked, 400U);
}

TEST(Numbers, LimitsOnBothSides) {
    const CLI::Validator range = from_to(0.5, 2.0);
    for (const char * good : {"0.5", "1", "2.0"})
        EXPECT_EQ(range(good), "") << good;
    EXPECT_EQ(range("0.49"), "0.49 must be from 0.5 to 2");
    EXPECT_EQ(range("2.01"), "2.01 must be from 0.5 to 2");
    EXPECT_EQ(from_to(1, 1 << 20)("0"), "0 must be from 1 to 1048576");
    EXPECT_EQ(at_least_zero()("0"), "");
    EXPECT_EQ(at_least_zero()("-0.1"), "-0.1 must not be negative");
    EXPECT_EQ(above_zero()("0.1"), "");
    EXPECT_EQ(above_zero()("0"), "0 must be above 0");
    EXPECT_EQ(above_zero()(""), " is not a number");
}

TEST_F(Program, NoCommandIsAnErrorOfItsOwn) {
    EXPECT_EQ(error_of({}), "");
    try {
        (void)commands_.run();
        ADD_FAILURE() << "ran something";
    } catch (const UsageError & error) {
        EXPECT_EQ(std::string(error.what()), "no command given (see shimmy --help)");
    }
    EXPECT_EQ(error_of({"lab"}), "");
    try {
        (void)commands_.run();
        ADD_FAILURE() << "ran something";
    } catch (const UsageError & error) {
        EXPECT_EQ(std::string(error.what()), "no command given (see shimmy lab --help)");
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

// Options of several commands are taken before the command's name as well, and refused where they mean nothing.
TEST_F(Program, SharedOptionsBelongToTheCommandsThatTakeThem) {
    const auto refusal = [&](const std::vector<std::string> & words) -> std::string {
        EXPECT_EQ(error_of(words), "");
        try {
            require_taken(app_, *app_.get_subcommands().front());
        } catch (const UsageError & error) {
            return error.what();
        }
        return "";
    };
    EXPECT_EQ(refusal({"list", "--cpu-moe"}), "shimmy list takes no --cpu-moe (see shimmy list --help)");
    EXPECT_EQ(refusal({"--rpc", "h:1", "discover"}), "shimmy discover takes no --rpc (see shimmy discover --help)");
    EXPECT_EQ(refusal({"--model-dirs", "/a", "list"}), "");
    EXPECT_EQ(refusal({"--cpu-moe", "generate", "m"}), "");
}

TEST_F(Program, EveryCommandThatAnswersTakesTheSame) {
    const CommandRow table = read_options_table(app_);
    const auto flags_of = [&](const std::string & name) {
        std::vector<std::string> flags;
        for (const CommandRow & row : table.commands) {
            if (row.path.front() != name) continue;
            for (const OptionRow & option : row.options)
                flags.insert(flags.end(), option.flags.begin(), option.flags.end());
        }
        return flags;
    };
    const std::vector<std::string> chat = flags_of("chat");
    EXPECT_EQ(chat, flags_of("run"));
    for (const std::string flag : {"--placement", "--vram", "--cpu-moe", "--moe-cache", "--temperature",
                                   "--cache-type-k", "--model-draft", "--spec", "--spec-type", "--no-profile"}) {
        for (const std::string command : {"generate", "chat"}) {
            const std::vector<std::string> flags = flags_of(command);
            EXPECT_EQ(std::count(flags.begin(), flags.end(), flag), 1) << command << " " << flag;
        }
    }
    const std::vector<std::string> serve = flags_of("serve");
    for (const std::string flag : {"--model-draft", "--mmproj", "--spec", "--spec-type", "--no-profile"})
        EXPECT_EQ(std::count(serve.begin(), serve.end(), flag), 1) << flag;
    for (const std::string flag : {"--mmproj", "--image", "--reasoning-budget", "--lazy-mode"})
        EXPECT_EQ(std::count(chat.begin(), chat.end(), flag), 1) << flag;
    for (const std::string flag : {"--image", "--slot-save-path", "--cache-ram"})
        EXPECT_EQ(std::count(serve.begin(), serve.end(), flag), flag == "--image" ? 0 : 1) << flag;
}

TEST(PlacementOption, FromTheGlobals) {
    using enum DefaultPlacement;
    Globals named;
    EXPECT_EQ(placement_option(named, automatic), engine::Placement::automatic());
    named.placement = "n-cpu-moe=4";
    EXPECT_EQ(placement_option(named, automatic), engine::Placement::partial(4));
    EXPECT_EQ(moe_cache_option(named), "off") << "whole layers have the VRAM";
    named.placement = "auto";
    EXPECT_EQ(placement_option(named, automatic), engine::Placement::automatic());
    EXPECT_THROW((void)placement_option(named, gpu), UsageError) << "a command that measures names its placement";
    EXPECT_EQ(moe_cache_option(named), "auto");
    named.cpu_moe = true;
    EXPECT_THROW((void)placement_option(named, automatic), UsageError);
    Globals globals;
    EXPECT_EQ(placement_option(globals), engine::Placement::baseline());
    globals.n_cpu_moe = 0;
    EXPECT_EQ(placement_option(globals), engine::Placement::baseline());
    globals.n_cpu_moe = 7;
    EXPECT_EQ(placement_option(globals), engine::Placement::partial(7));
    globals.cpu_moe = true;
    EXPECT_THROW((void)placement_option(globals), UsageError) << "both";
    globals.n_cpu_moe.reset();
    EXPECT_EQ(placement_option(globals), engine::Placement::offload());
}

TEST(VramOption, SizesWithTheirUnits) {
    using Sizes = std::vector<uint64_t>;
    Globals globals;
    EXPECT_EQ(vram_option(globals), Sizes{});
    globals.vram = "2GiB";
    EXPECT_EQ(vram_option(globals), Sizes{2ULL << 30});
    globals.vram = "1048576";
    EXPECT_EQ(vram_option(globals), Sizes{1ULL << 20});
    globals.vram = "12GiB,8GiB";
    EXPECT_EQ(vram_option(globals), (Sizes{12ULL << 30, 8ULL << 30}));
    for (const char * wrong : {"8", "1048575", "0", "much", "8GiB,", "8GiB,8", ",8GiB"}) {
        globals.vram = wrong;
        EXPECT_THROW((void)vram_option(globals), UsageError) << wrong;
    }
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
    command->add_option("--size", text, "how much")->type_name("SIZE")->check(from_to(1, 3))->excludes(mode);
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
    EXPECT_EQ(row.options[2].range, "1 to 3");
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

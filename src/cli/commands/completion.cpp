// shimmy completion: a completion script for a shell.
#include "cli/command.h"
#include "cli/print/completion_scripts.h"

#include "base/json.h"

#include <fmt/format.h>

#include <memory>

namespace shimmy::cli {

namespace {

int run_completion(const std::string & shell, Commands & commands) {
    const CommandRow table = read_options_table(commands.app());
    std::string script;
    if (shell == "bash") script = bash_completion(table);
    if (shell == "zsh") script = zsh_completion(table);
    if (shell == "fish") script = fish_completion(table);
    if (commands.globals().json) {
        fmt::print("{}\n", Json{{"shell", shell}, {"script", script}}.dump(2));
    } else {
        fmt::print("{}", script);
    }
    return 0;
}

}  // namespace

void add_completion(Commands & commands) {
    auto shell = std::make_shared<std::string>();
    CLI::App * command = commands.add("completion", "print a shell completion script",
                                      [shell, &commands] { return run_completion(*shell, commands); });
    command->add_option("shell", *shell, "shell to complete in")
        ->type_name("SHELL")
        ->check(CLI::IsMember({"bash", "zsh", "fish"}))
        ->required();
}

}  // namespace shimmy::cli

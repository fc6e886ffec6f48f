// shimmy completion: a script for a shell, which asks `shimmy __complete` what to offer.
#include "cli/command.h"
#include "cli/table/complete.h"

#include "base/json.h"
#include "cli/print/model_list.h"
#include "library/search_dirs.h"

#include <fmt/format.h>

#include <memory>

namespace shimmy::cli {

namespace {

int run_completion(const std::string & shell, const Globals & globals) {
    const std::string script = completion_script(shell);
    if (globals.json) {
        fmt::print("{}\n", json_text(Json{{"shell", shell}, {"script", script}}));
    } else {
        fmt::print("{}", script);
    }
    return 0;
}

std::vector<std::string> model_names() {
    library::Catalog catalog = library::read_catalog(library::search_dirs(library::read_environment(), ""));
    keep_llms(catalog);
    std::vector<std::string> names;
    for (const library::CatalogModel & model : catalog.models)
        names.push_back(model.name);
    return names;
}

}  // namespace

void add_completion(Commands & commands) {
    auto shell = std::make_shared<std::string>();
    CLI::App * command = commands.add("completion", "print a shell completion script",
                                      [shell, &commands] { return run_completion(*shell, commands.globals()); });
    command->add_option("shell", *shell, "shell to complete in")
        ->type_name("SHELL")
        ->check(CLI::IsMember({"bash", "zsh", "fish"}))
        ->required();
}

int print_candidates(const CLI::App & app, const std::vector<std::string> & words) {
    fmt::print("{}", to_lines(complete(read_options_table(app), words, model_names)));
    return 0;
}

}  // namespace shimmy::cli

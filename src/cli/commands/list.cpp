// shimmy list: the models that can be run.
#include "base/text/text.h"
#include "cli/command.h"
#include "cli/placement_options.h"
#include "cli/print/model_list.h"
#include "library/search_dirs.h"

#include <fmt/format.h>

#include <memory>

namespace shimmy::cli {

namespace {

constexpr size_t MAX_NAME_CHARS = 1000;

int run_list(bool names_only, const Globals & globals) {
    library::Catalog catalog =
        library::read_catalog(library::search_dirs(library::read_environment(), globals.model_dirs));
    keep_llms(catalog);
    if (globals.json) {
        fmt::print("{}\n", json_text(model_list_document(catalog)));
        return 0;
    }
    print_warnings(catalog);
    if (names_only) {
        for (const library::CatalogModel & model : catalog.models)
            fmt::print("{}\n", printable(model.name, MAX_NAME_CHARS));
        return 0;
    }
    if (catalog.models.empty())
        fmt::print(stderr, "no models found (`shimmy discover` says where they are looked for)\n");
    fmt::print("{}", model_list_text(catalog));
    return 0;
}

}  // namespace

void add_list(Commands & commands) {
    auto names_only = std::make_shared<bool>(false);
    CLI::App * command = commands.add("list", "list the models that can be run",
                                      [names_only, &commands] { return run_list(*names_only, commands.globals()); });
    add_model_dirs_option(*command, commands.globals());
    command->add_flag("-s,--short", *names_only, "names only");
    command->footer(
        "A model's name is its file's stem in lower case, with '-' for '_' and spaces; Ollama's models keep their own "
        "names (`phi3:mini`). Of several models with one name the first found keeps it; the others become "
        "`name@source`, then `name@source-2`.");
}

}  // namespace shimmy::cli

// shimmy reference: docs/CLI.md, made from the options table.
#include "cli/command.h"
#include "cli/print/reference_page.h"

#include "base/json.h"

#include <fmt/format.h>

namespace shimmy::cli {

namespace {

int run_reference(Commands & commands) {
    const std::string page = reference_page(read_options_table(commands.app()));
    if (commands.globals().json) {
        fmt::print("{}\n", json_text(Json{{"markdown", page}}));
    } else {
        fmt::print("{}", page);
    }
    return 0;
}

}  // namespace

void add_reference(Commands & commands) {
    commands.add("reference", "print the reference of all commands as Markdown (docs/CLI.md)",
                 [&commands] { return run_reference(commands); });
}

}  // namespace shimmy::cli

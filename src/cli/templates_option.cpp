#include "cli/templates_option.h"

namespace shimmy::cli {

void add_templates_option(CLI::App & command, std::string & dir) {
    command.add_option("--templates", dir, "folder with your own templates of the documents (see docs/TEMPLATES.md)")
        ->type_name("DIR");
}

}  // namespace shimmy::cli

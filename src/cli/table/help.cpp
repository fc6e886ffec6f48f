#include "cli/table/help.h"

#include <sstream>

namespace shimmy::cli {

std::string HelpFormatter::make_option(const CLI::Option * option, bool is_positional) const {
    if (is_positional || !option->get_positional()) return CLI::Formatter::make_option(option, is_positional);
    std::ostringstream out;
    CLI::detail::format_help(out, make_option_name(option, false) + " " + option->get_type_name(),
                             "the same, by its name", get_column_width());
    return out.str();
}

}  // namespace shimmy::cli

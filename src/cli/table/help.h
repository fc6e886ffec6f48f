// How --help writes an option that may be given by place or by name.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

namespace shimmy::cli {

// CLI11 writes such an option twice, each time as required: here it is told once, and its name points to it.
class HelpFormatter : public CLI::Formatter {
public:
    std::string make_option(const CLI::Option * option, bool is_positional) const override;
};

}  // namespace shimmy::cli

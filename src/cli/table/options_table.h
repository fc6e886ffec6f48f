// The options table as plain data, read from the CLI11 application: what completion and the reference page are made of.
#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace shimmy::cli {

struct OptionRow {
    std::vector<std::string> flags;    // "--prompt", "-p"; empty for a positional argument
    std::string name;                  // of a positional argument
    std::string type;                  // "FILE|NAME"; empty for a flag without a value
    std::vector<std::string> choices;  // if only these values are taken
    std::string range;                 // "0 to 1": what else checks the value
    std::string default_value;
    std::string description;
    std::vector<std::string> excludes;  // options that cannot be given with it
    bool required = false;
    bool repeated = false;  // takes several values

    bool is_positional() const { return flags.empty(); }
    bool takes_value() const { return !type.empty(); }
    bool takes_file() const;
    bool takes_dir() const;
    bool takes_model_name() const;  // a name from `shimmy list`
};

struct CommandRow {
    std::vector<std::string> path;  // {"lab", "run"}; empty for the program
    std::string summary;
    std::string notes;  // CLI11's footer: exit codes of its own and such
    std::vector<OptionRow> positionals;
    std::vector<OptionRow> options;  // its own, without those of the program
    std::vector<CommandRow> commands;
};

// Walks the application: the same result on every machine and terminal.
CommandRow read_options_table(const CLI::App & app);

// Every command below `root` that can be run (has no commands of its own), depth first.
std::vector<const CommandRow *> runnable_commands(const CommandRow & root);

}  // namespace shimmy::cli

#include "cli/table/options_table.h"

#include "base/text/text.h"

#include <algorithm>

namespace shimmy::cli {

namespace {

// CLI11 joins the type's name and the descriptions of its checks with ':': "NAME:{auto,cpu}", "P:0 to 1".
void read_type(const std::string & text, OptionRow & row) {
    std::vector<std::string> parts = split(text, ':');
    row.type = parts.front();
    for (size_t i = 1; i < parts.size(); ++i) {
        const std::string & check = parts[i];
        if (check.size() > 2 && check.front() == '{' && check.back() == '}') {
            row.choices = split(check.substr(1, check.size() - 2), ',');
        } else {
            row.range += (row.range.empty() ? "" : ", ") + check;
        }
    }
}

OptionRow read_option(const CLI::Option & option) {
    OptionRow row;
    for (const std::string & name : option.get_lnames())
        row.flags.push_back("--" + name);
    for (const std::string & name : option.get_snames())
        row.flags.push_back("-" + name);
    if (row.flags.empty()) row.name = option.get_single_name();
    if (option.get_items_expected_max() > 0) read_type(option.get_type_name(), row);
    row.default_value = option.get_default_str();
    row.description = option.get_description();
    row.required = option.get_required();
    row.repeated = option.get_items_expected_max() > 1;
    for (const CLI::Option * other : option.get_excludes())
        row.excludes.push_back(other->get_name());
    std::sort(row.excludes.begin(), row.excludes.end());  // CLI11 keeps them by address
    return row;
}

CommandRow read_command(const CLI::App & app, std::vector<std::string> path) {
    CommandRow row;
    row.path = std::move(path);
    row.summary = app.get_description();
    row.notes = app.get_footer();
    for (const CLI::Option * option : app.get_options({})) {
        if (option->get_group().empty()) continue;  // hidden
        OptionRow read = read_option(*option);
        (read.is_positional() ? row.positionals : row.options).push_back(std::move(read));
    }
    for (const CLI::App * command : app.get_subcommands([](const CLI::App *) { return true; })) {
        if (command->get_name().empty() || command->get_group().empty()) continue;  // an option group; hidden
        std::vector<std::string> child_path = row.path;
        child_path.push_back(command->get_name());
        row.commands.push_back(read_command(*command, std::move(child_path)));
    }
    return row;
}

void collect_runnable(const CommandRow & row, std::vector<const CommandRow *> & rows) {
    if (row.commands.empty()) rows.push_back(&row);
    for (const CommandRow & command : row.commands)
        collect_runnable(command, rows);
}

bool has_word(const std::string & type, const std::string & word) {
    const std::vector<std::string> words = split(type, '|');
    return std::any_of(words.begin(), words.end(),
                       [&](const std::string & w) { return w == word || (word == "FILE" && w.ends_with(".toml")); });
}

}  // namespace

bool OptionRow::takes_file() const {
    return has_word(type, "FILE");
}

bool OptionRow::takes_dir() const {
    return has_word(type, "DIR") || has_word(type, "DIRS");
}

bool OptionRow::takes_model_name() const {
    return has_word(type, "NAME") && (is_positional() || takes_file());
}

CommandRow read_options_table(const CLI::App & app) {
    return read_command(app, {});
}

std::vector<const CommandRow *> runnable_commands(const CommandRow & root) {
    std::vector<const CommandRow *> rows;
    for (const CommandRow & command : root.commands)
        collect_runnable(command, rows);
    return rows;
}

}  // namespace shimmy::cli

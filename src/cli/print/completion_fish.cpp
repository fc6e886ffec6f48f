#include "cli/print/completion_scripts.h"

#include <fmt/format.h>

#include <set>

namespace shimmy::cli {

namespace {

constexpr const char * HEAD = R"sh(# fish completion for shimmy; made by `shimmy completion fish`.
# Use: shimmy completion fish > ~/.config/fish/completions/shimmy.fish

# Words of the command line that name commands: no options, no values of options.
function __shimmy_path
    set -l path
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip -eq 1
            set skip 0
        else if contains -- $word $__shimmy_valued
            set skip 1
        else if not string match -q -- '-*' $word
            if contains -- (string join / $path $word) $__shimmy_paths
                set -a path $word
            end
        end
    end
    string join / $path
end

function __shimmy_at
    test (__shimmy_path | string collect --allow-empty) = "$argv[1]"
end

function __shimmy_models
    shimmy list --short 2>/dev/null
end

complete -c shimmy -f
)sh";

// Single quotes of fish: only \ and ' are special inside.
std::string fish_quoted(const std::string & text) {
    std::string out = "'";
    for (const char c : text) {
        if (c == '\'' || c == '\\') out += '\\';
        out += c;
    }
    return out + "'";
}

std::string path_key(const CommandRow & row) {
    return fmt::format("{}", fmt::join(row.path, "/"));
}

void collect(const CommandRow & row, std::vector<const CommandRow *> & rows) {
    rows.push_back(&row);
    for (const CommandRow & command : row.commands)
        collect(command, rows);
}

std::string value_arguments(const OptionRow & option) {
    if (!option.choices.empty())
        return fmt::format(" -a {}", fish_quoted(fmt::format("{}", fmt::join(option.choices, " "))));
    std::string out;
    if (option.takes_file()) out += " -F";
    if (option.takes_model_name()) out += " -a '(__shimmy_models)'";
    if (option.takes_dir()) out += " -a '(__fish_complete_directories)'";
    return out;
}

std::string option_line(const CommandRow & row, const OptionRow & option) {
    std::string line = "complete -c shimmy";
    if (!row.path.empty()) line += fmt::format(" -n {}", fish_quoted("__shimmy_at " + path_key(row)));
    for (const std::string & flag : option.flags) {
        line += flag.starts_with("--") ? " -l " + flag.substr(2) : " -s " + flag.substr(1);
    }
    if (option.takes_value()) line += (option.takes_file() ? " -r" : " -x") + value_arguments(option);
    return line + fmt::format(" -d {}\n", fish_quoted(option.description));
}

std::string words_lines(const CommandRow & row) {
    std::string out;
    const std::string condition = row.path.empty() ? "__shimmy_at ''" : "__shimmy_at " + path_key(row);
    for (const CommandRow & command : row.commands) {
        out += fmt::format("complete -c shimmy -n {} -a {} -d {}\n", fish_quoted(condition), command.path.back(),
                           fish_quoted(command.summary));
    }
    if (row.commands.empty() && !row.positionals.empty()) {
        const std::string arguments = value_arguments(row.positionals.front());
        if (!arguments.empty()) out += fmt::format("complete -c shimmy -n {}{}\n", fish_quoted(condition), arguments);
    }
    return out;
}

}  // namespace

std::string fish_completion(const CommandRow & root) {
    std::vector<const CommandRow *> rows;
    collect(root, rows);
    std::set<std::string> valued;
    std::string paths;
    std::string lines;
    for (const CommandRow * row : rows) {
        if (!row->path.empty()) paths += " " + path_key(*row);
        for (const OptionRow & option : row->options) {
            if (option.takes_value()) valued.insert(option.flags.begin(), option.flags.end());
            lines += option_line(*row, option);
        }
        lines += words_lines(*row);
    }
    return fmt::format("{}set -g __shimmy_valued {}\nset -g __shimmy_paths{}\n\n{}", HEAD, fmt::join(valued, " "),
                       paths, lines);
}

}  // namespace shimmy::cli

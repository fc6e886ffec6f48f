#include "cli/print/completion_scripts.h"

#include <fmt/format.h>

#include <set>

namespace shimmy::cli {

namespace {

constexpr const char * HEAD = R"sh(# bash completion for shimmy; made by `shimmy completion bash`.
# Use: source <(shimmy completion bash)

_shimmy_words() { mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur"); }

_shimmy_files() {
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen "$1" -- "$cur")
}

_shimmy_models() {
    mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W "$("$program" list --short 2>/dev/null)" -- "$cur")
}

_shimmy() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} program=${COMP_WORDS[0]}
    COMPREPLY=()
    # bash cuts --option=value into three words
    if [[ $cur == "=" ]]; then
        cur=""
    elif [[ $prev == "=" ]]; then
        prev=${COMP_WORDS[COMP_CWORD-2]}
    fi
)sh";

constexpr const char * FIND_COMMAND = R"sh(
    # which command: the words that are no options and no values of options
    local path="" word i
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $word == -* ]]; then
            if [[ " $valued " == *" $word "* ]]; then
                ((i++))
                if [[ ${COMP_WORDS[i]} == "=" ]]; then ((i++)); fi
            fi
            continue
        fi
        case "$path/$word" in
)sh";

constexpr const char * TAIL = R"sh(}

complete -F _shimmy shimmy
)sh";

std::string path_key(const CommandRow & row) {
    return fmt::format("{}", fmt::join(row.path, "/"));
}

void collect(const CommandRow & row, std::vector<const CommandRow *> & rows) {
    rows.push_back(&row);
    for (const CommandRow & command : row.commands)
        collect(command, rows);
}

std::string value_action(const OptionRow & option) {
    if (!option.choices.empty())
        return fmt::format("_shimmy_words {}", shell_quoted(fmt::format("{}", fmt::join(option.choices, " "))));
    std::string action;
    if (option.takes_file()) action = "_shimmy_files -f";
    if (option.takes_dir()) action = "_shimmy_files -d";
    if (option.takes_model_name()) action += action.empty() ? "_shimmy_models" : "; _shimmy_models";
    return action.empty() ? ":" : action;
}

// "generate:--model|generate:-m": how a value of this option is recognized. The program's own options go with every
// command.
std::string value_pattern(const CommandRow & row, const OptionRow & option) {
    std::string pattern;
    for (const std::string & flag : option.flags) {
        pattern += fmt::format("{}{}:{}", pattern.empty() ? "" : "|", row.path.empty() ? "*" : path_key(row), flag);
    }
    return pattern;
}

std::string without_option(const CommandRow & root, const CommandRow & row) {
    std::set<std::string> flags;
    for (const CommandRow * source : {&root, &row}) {
        for (const OptionRow & option : source->options)
            flags.insert(option.flags.begin(), option.flags.end());
    }
    std::string positional = ":";
    if (!row.commands.empty()) {
        std::string names;
        for (const CommandRow & command : row.commands)
            names += (names.empty() ? "" : " ") + command.path.back();
        positional = fmt::format("_shimmy_words {}", shell_quoted(names));
    } else if (!row.positionals.empty()) {
        positional = value_action(row.positionals.front());
    }
    return fmt::format("        {})\n            if [[ $cur == -* ]]; then _shimmy_words {}; else {}; fi ;;\n",
                       shell_quoted(path_key(row)), shell_quoted(fmt::format("{}", fmt::join(flags, " "))), positional);
}

}  // namespace

std::string shell_quoted(const std::string & text) {
    std::string out = "'";
    for (const char c : text) {
        if (c == '\'')
            out += "'\\''";
        else
            out += c;
    }
    return out + "'";
}

std::string bash_completion(const CommandRow & root) {
    std::vector<const CommandRow *> rows;
    collect(root, rows);
    std::set<std::string> valued;
    std::string values;
    for (const CommandRow * row : rows) {
        for (const OptionRow & option : row->options) {
            if (!option.takes_value()) continue;
            valued.insert(option.flags.begin(), option.flags.end());
            values += fmt::format("        {}) {}; return ;;\n", value_pattern(*row, option), value_action(option));
        }
    }
    std::string out = HEAD;
    out += fmt::format("    local valued={}\n", shell_quoted(fmt::format("{}", fmt::join(valued, " "))));
    out += FIND_COMMAND;
    for (const CommandRow * row : rows) {
        for (const CommandRow & command : row->commands) {
            out += fmt::format("            {}) path={} ;;\n", shell_quoted(path_key(*row) + "/" + command.path.back()),
                               shell_quoted(path_key(command)));
        }
    }
    out += "        esac\n    done\n\n    case \"$path:$prev\" in\n" + values + "    esac\n\n    case \"$path\" in\n";
    for (const CommandRow * row : rows)
        out += without_option(root, *row);
    return out + "    esac\n" + TAIL;
}

}  // namespace shimmy::cli

#include "cli/print/completion_scripts.h"

#include <fmt/format.h>

namespace shimmy::cli {

namespace {

constexpr const char * HEAD = R"sh(#compdef shimmy
# zsh completion for shimmy; made by `shimmy completion zsh`.
# Use: shimmy completion zsh > "${fpath[1]}/_shimmy", or: source <(shimmy completion zsh)

_shimmy_model_names() {
    local -a names
    names=(${(f)"$(shimmy list --short 2>/dev/null)"})
    compadd -a names
}

_shimmy_models() {
    _shimmy_model_names
    _files
}
)sh";

constexpr const char * TAIL = R"sh(
if [[ $funcstack[1] == _shimmy ]]; then
    _shimmy "$@"
elif (( $+functions[compdef] )); then
    compdef _shimmy shimmy
fi
)sh";

// Backslashes before characters that mean something in a spec of _arguments.
std::string escaped(const std::string & text, const std::string & special) {
    std::string out;
    for (const char c : text) {
        if (special.find(c) != std::string::npos) out += '\\';
        out += c;
    }
    return out;
}

std::string value_action(const OptionRow & option) {
    if (!option.choices.empty()) return fmt::format("({})", fmt::join(option.choices, " "));
    if (option.takes_model_name()) return option.takes_file() ? "_shimmy_models" : "_shimmy_model_names";
    if (option.takes_file()) return "_files";
    if (option.takes_dir()) return "_files -/";
    return " ";
}

std::string value_spec(const OptionRow & option) {
    return fmt::format(":{}:{}", escaped(option.type, ":\\"), value_action(option));
}

std::vector<std::string> option_specs(const OptionRow & option) {
    std::vector<std::string> specs;
    for (const std::string & flag : option.flags) {
        const bool is_long = flag.starts_with("--");
        const std::string suffix = option.takes_value() ? (is_long ? "=" : "+") : "";
        specs.push_back(fmt::format("{}{}{}[{}]{}", option.repeated ? "*" : "", flag, suffix,
                                    escaped(option.description, "[]\\"),
                                    option.takes_value() ? value_spec(option) : ""));
    }
    return specs;
}

std::string function_name(const CommandRow & row) {
    return row.path.empty() ? "_shimmy" : fmt::format("_shimmy_command_{}", fmt::join(row.path, "_"));
}

std::vector<std::string> all_option_specs(const CommandRow & root, const CommandRow & row) {
    std::vector<std::string> specs;
    for (const CommandRow * source : {&root, &row}) {
        if (source == &root && &row == &root) continue;
        for (const OptionRow & option : source->options) {
            const bool help_twice = source == &root && !option.flags.empty() && option.flags.front() == "--help";
            if (help_twice) continue;
            for (std::string & spec : option_specs(option))
                specs.push_back(std::move(spec));
        }
    }
    return specs;
}

std::string leaf_body(const CommandRow & row, const std::vector<std::string> & specs) {
    std::string out = "    _arguments -S";
    for (const std::string & spec : specs)
        out += " \\\n        " + shell_quoted(spec);
    for (size_t i = 0; i < row.positionals.size(); ++i) {
        const OptionRow & positional = row.positionals[i];
        const std::string place = positional.repeated ? "*" : fmt::format("{}", i + 1);
        out +=
            " \\\n        " + shell_quoted(fmt::format("{}:{}:{}", place, positional.name, value_action(positional)));
    }
    return out + "\n";
}

std::string branch_body(const CommandRow & row, const std::vector<std::string> & specs) {
    std::string out = "    local context state state_descr line\n    typeset -A opt_args\n    _arguments -C -S";
    for (const std::string & spec : specs)
        out += " \\\n        " + shell_quoted(spec);
    out +=
        " \\\n        '1: :->command' '*:: :->rest'\n    case $state in\n    command)\n        local -a commands=(\n";
    for (const CommandRow & command : row.commands) {
        out +=
            fmt::format("            {}\n", shell_quoted(command.path.back() + ":" + escaped(command.summary, "\\")));
    }
    out += "        )\n        _describe command commands ;;\n    rest)\n        case $words[1] in\n";
    for (const CommandRow & command : row.commands) {
        out += fmt::format("        {}) {} ;;\n", command.path.back(), function_name(command));
    }
    return out + "        esac ;;\n    esac\n";
}

void append_functions(const CommandRow & root, const CommandRow & row, std::string & out) {
    for (const CommandRow & command : row.commands)
        append_functions(root, command, out);
    const std::vector<std::string> specs = all_option_specs(root, row);
    out += fmt::format("\n{}() {{\n", function_name(row));
    out += row.commands.empty() ? leaf_body(row, specs) : branch_body(row, specs);
    out += "}\n";
}

}  // namespace

std::string zsh_completion(const CommandRow & root) {
    std::string out = HEAD;
    append_functions(root, root, out);
    return out + TAIL;
}

}  // namespace shimmy::cli

#include "cli/print/reference_page.h"

#include <fmt/format.h>

#include <cctype>

namespace shimmy::cli {

namespace {

constexpr const char * HEAD = R"(<!-- Made by `shimmy reference > docs/CLI.md`. Do not edit. -->

# Command line

All commands take the [options for all commands](#options-for-all-commands), before or after the command's name. Text goes to stdout,
logs and progress to stderr. With `--json`, stdout holds one JSON document and nothing else; help stays text.

`generate`, `chat`, `run` and `serve` also take llama.cpp's own options behind `--`, as `llama-server` lists them:
`shimmy generate model.gguf "Hello" -- --dry-multiplier 0.8`. Those that shimmy sets itself, and those that would change nothing, are
refused. These commands and `probe` understand llama.cpp's names for their own options, too (`-m`, `-c`, `-t`, `-ngl`, `-hf`, `-fa`, `-ctk`, `-ot`,
`--temp`, `--n-predict`, …), and wherever a model is named, `hf.co/USER/NAME:QUANT` and the address of a model on the Hub.

## Exit codes

| code | meaning |
| ---: | --- |
| 0 | done |
| 1 | failed; the reason is on stderr, and with `--json` in `{"error": {"message", "exit_code"}}` |
| 2 | wrong usage: the command line, or a file that the user wrote, is invalid |
| 130 | interrupted by Ctrl-C; `serve`, which is stopped so, ends with 0 |
)";

// A table cell: '|' would end it.
std::string cell(const std::string & text) {
    std::string out;
    for (const char c : text) {
        if (c == '|')
            out += "\\|";
        else if (c == '\n')
            out += "<br>";
        else
            out += c;
    }
    return out;
}

std::string code(const std::string & text) {
    return text.empty() ? "" : "`" + cell(text) + "`";
}

std::string names(const OptionRow & option) {
    if (option.is_positional()) return code(option.name);
    std::string out;
    for (const std::string & flag : option.flags)
        out += (out.empty() ? "" : ", ") + code(flag);
    return out;
}

std::string value(const OptionRow & option) {
    if (!option.takes_value()) return "";
    if (option.choices.empty()) return code(option.type) + (option.repeated ? "…" : "");
    std::string out;
    for (const std::string & choice : option.choices)
        out += (out.empty() ? "" : ", ") + code(choice);
    return out;
}

std::string sentence(std::string text) {
    if (!text.empty()) text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
    return text + ".";
}

std::string description(const OptionRow & option) {
    std::string out = cell(option.description);
    if (option.required) out += " (required)";
    if (!option.range.empty()) out += fmt::format(" ({})", cell(option.range));
    if (!option.excludes.empty()) out += fmt::format(" (not with `{}`)", fmt::join(option.excludes, "`, `"));
    return out;
}

std::string options_table(const std::vector<OptionRow> & rows) {
    std::string out = "| option | value | default | |\n| --- | --- | --- | --- |\n";
    for (const OptionRow & option : rows) {
        out += fmt::format("| {} | {} | {} | {} |\n", names(option), value(option), code(option.default_value),
                           description(option));
    }
    return out;
}

std::vector<OptionRow> without_help(const std::vector<OptionRow> & rows) {
    std::vector<OptionRow> out;
    for (const OptionRow & row : rows) {
        if (row.is_positional() || row.flags.front() != "--help") out.push_back(row);
    }
    return out;
}

std::string usage(const CommandRow & row) {
    std::string out = fmt::format("shimmy {}", fmt::join(row.path, " "));
    for (const OptionRow & positional : row.positionals) {
        const std::string name = positional.name + (positional.repeated ? "..." : "");
        out += positional.required ? fmt::format(" {}", name) : fmt::format(" [{}]", name);
    }
    for (const OptionRow & option : row.options) {
        if (option.required) out += fmt::format(" {} {}", option.flags.front(), option.type);
    }
    return out + (without_help(row.options).empty() ? "" : " [options]");
}

std::string command_section(const CommandRow & row) {
    std::string out = fmt::format("\n## shimmy {}\n\n{}\n\n```\n{}\n```\n", fmt::join(row.path, " "),
                                  sentence(row.summary), usage(row));
    std::vector<OptionRow> rows = row.positionals;
    for (const OptionRow & option : without_help(row.options))
        rows.push_back(option);
    if (!rows.empty()) out += "\n" + options_table(rows);
    if (!row.notes.empty()) out += "\n" + row.notes + "\n";
    return out;
}

}  // namespace

std::string reference_page(const CommandRow & root) {
    std::string out = HEAD;
    out += "\n## Commands\n\n| command | |\n| --- | --- |\n";
    for (const CommandRow * row : runnable_commands(root)) {
        std::string anchor = fmt::format("{}", fmt::join(row->path, "-"));
        out +=
            fmt::format("| [`shimmy {}`](#shimmy-{}) | {} |\n", fmt::join(row->path, " "), anchor, cell(row->summary));
    }
    out += "\n## Options for all commands\n\n" + options_table(root.options);
    for (const CommandRow * row : runnable_commands(root))
        out += command_section(*row);
    return out;
}

}  // namespace shimmy::cli

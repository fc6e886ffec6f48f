#include "cli/table/complete.h"

#include "base/files.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

namespace shimmy::cli {

namespace {

using Names = std::function<std::vector<std::string>()>;

// Where the cursor is: in which command, behind how many of its positional arguments, after which option.
struct Place {
    const CommandRow & root;
    const CommandRow * command;
    size_t n_positionals = 0;
    const OptionRow * option = nullptr;  // whose value the word is

    explicit Place(const CommandRow & table) : root(table), command(&table) {}
    const OptionRow * find_option(const std::string & flag) const;
    void pass(const std::string & word);
};

const OptionRow * Place::find_option(const std::string & flag) const {
    for (const CommandRow * row : {command, &root}) {
        for (const OptionRow & candidate : row->options) {
            if (std::find(candidate.flags.begin(), candidate.flags.end(), flag) != candidate.flags.end())
                return &candidate;
        }
    }
    return nullptr;
}

void Place::pass(const std::string & word) {
    if (option != nullptr) {
        if (word != "=") option = nullptr;
        return;
    }
    if (word.starts_with("-")) {
        const OptionRow * found = find_option(word);  // none: unknown, or its value is in the same word
        if (found != nullptr && found->takes_value()) option = found;
        return;
    }
    for (const CommandRow & child : command->commands) {
        if (child.path.back() != word) continue;
        command = &child;
        return;
    }
    ++n_positionals;
}

// Names of files that begin with `begin`, folders with a '/' behind them.
void add_paths(const std::string & begin, bool folders_only, const std::string & prefix, Candidates & out) {
    const size_t slash = begin.rfind('/');
    const std::string folder = slash == std::string::npos ? "" : begin.substr(0, slash + 1);
    const std::string rest = begin.substr(folder.size());
    const char * home = std::getenv("HOME");
    fs::path real = folder.empty() ? fs::path(".") : fs::path(folder);
    if (folder.starts_with("~/") && home != nullptr) real = fs::path(home) / folder.substr(2);
    std::error_code ignored;
    for (fs::directory_iterator entry(real, ignored); entry != fs::directory_iterator(); entry.increment(ignored)) {
        const std::string name = entry->path().filename().string();
        const bool is_folder = entry->is_directory(ignored);
        const bool hidden = name.starts_with(".") && !rest.starts_with(".");
        if (!name.starts_with(rest) || hidden || (folders_only && !is_folder)) continue;
        out.all.push_back({prefix + folder + name + (is_folder ? "/" : ""), ""});
        out.are_files = true;
    }
}

void add_values(const OptionRow & option, const std::string & begin, const std::string & prefix, const Names & names,
                Candidates & out) {
    const auto add = [&](const std::vector<std::string> & words) {
        for (const std::string & word : words) {
            if (word.starts_with(begin)) out.all.push_back({prefix + word, ""});
        }
    };
    add(option.choices);
    if (option.takes_model_name()) add(names());
    if (option.takes_file() || option.takes_dir()) add_paths(begin, !option.takes_file(), prefix, out);
}

void add_flags(const Place & place, const std::string & begin, Candidates & out) {
    for (const CommandRow * row : {place.command, &place.root}) {
        for (const OptionRow & option : row->options) {
            for (const std::string & flag : option.flags) {
                const bool twice = std::any_of(out.all.begin(), out.all.end(),
                                               [&](const Candidate & other) { return other.word == flag; });
                if (flag.starts_with(begin) && !twice) out.all.push_back({flag, option.description});
            }
        }
    }
}

constexpr const char * BASH = R"sh(# bash completion for shimmy.   Use: source <(shimmy completion bash)
_shimmy() {
    local word
    COMPREPLY=()
    while IFS=$'\t' read -r word _; do
        if [[ $word == :files ]]; then compopt -o filenames 2>/dev/null; else COMPREPLY+=("$word"); fi
    done < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _shimmy shimmy
)sh";

constexpr const char * ZSH = R"sh(#compdef shimmy
# zsh completion for shimmy.   Use: shimmy completion zsh > "${fpath[1]}/_shimmy", or: source <(shimmy completion zsh)
_shimmy() {
    local line
    local -a folders words_
    for line in "${(@f)$("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        case $line in
            :files|'') ;;
            */$'\t'*) folders+=("${line%%$'\t'*}") ;;
            *) words_+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
        esac
    done
    compadd -Q -S '' -a folders
    _describe shimmy words_
}
if [[ $funcstack[1] == _shimmy ]]; then _shimmy "$@"; elif (( $+functions[compdef] )); then compdef _shimmy shimmy; fi
)sh";

constexpr const char * FISH =
    R"sh(# fish completion for shimmy.   Use: shimmy completion fish > ~/.config/fish/completions/shimmy.fish
function __shimmy_complete
    set -l before (commandline -opc)
    $before[1] __complete $before[2..-1] (commandline -ct) 2>/dev/null | string match --invert ':files*'
end
complete -c shimmy -f -a '(__shimmy_complete)'
)sh";

}  // namespace

Candidates complete(const CommandRow & root, const std::vector<std::string> & words, const Names & model_names) {
    Candidates out;
    if (words.empty()) return out;
    Place place(root);
    for (size_t i = 0; i + 1 < words.size(); ++i)
        place.pass(words[i]);
    const std::string & word = words.back();
    const size_t equals = word.find('=');
    if (place.option != nullptr) {
        add_values(*place.option, word == "=" ? "" : word, "", model_names, out);
    } else if (word.starts_with("--") && equals != std::string::npos) {
        const OptionRow * option = place.find_option(word.substr(0, equals));
        if (option != nullptr && option->takes_value())
            add_values(*option, word.substr(equals + 1), word.substr(0, equals + 1), model_names, out);
    } else if (word.starts_with("-")) {
        add_flags(place, word, out);
    } else if (!place.command->commands.empty()) {
        for (const CommandRow & child : place.command->commands) {
            if (child.path.back().starts_with(word)) out.all.push_back({child.path.back(), child.summary});
        }
    } else if (!place.command->positionals.empty()) {
        const auto & positionals = place.command->positionals;
        const OptionRow & last = positionals.back();
        if (place.n_positionals < positionals.size())
            add_values(positionals[place.n_positionals], word, "", model_names, out);
        else if (last.repeated)
            add_values(last, word, "", model_names, out);
    }
    return out;
}

std::string to_lines(const Candidates & candidates) {
    std::string out = candidates.are_files ? ":files\t\n" : "";
    for (const Candidate & candidate : candidates.all)
        out += fmt::format("{}\t{}\n", candidate.word, candidate.description);
    return out;
}

std::string completion_script(const std::string & shell) {
    if (shell == "bash") return BASH;
    return shell == "zsh" ? ZSH : FISH;
}

}  // namespace shimmy::cli

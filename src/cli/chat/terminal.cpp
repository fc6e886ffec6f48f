#include "cli/chat/terminal.h"

#include "base/process/interrupt.h"

#include <fmt/format.h>
#include <histedit.h>
#include <unistd.h>

#include <algorithm>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <iostream>

namespace shimmy::cli {

namespace {

constexpr std::string_view BLOCK = "\"\"\"";
constexpr const char * PROMPT = "> ";
constexpr const char * PROMPT_MORE = ". ";
constexpr const char * DIM = "\033[2m";
constexpr const char * RESET = "\033[0m";
constexpr int MAX_HISTORY = 1000;

bool wants_colours() {
    const char * term = std::getenv("TERM");
    const bool dumb = term != nullptr && std::string_view(term) == "dumb";
    return ::isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr && !dumb;
}

}  // namespace

// libedit, with what its callbacks need.
struct Terminal::Editor {
    std::vector<std::string> words;
    fs::path history_file;
    EditLine * line = nullptr;
    History * history = nullptr;
    const char * prompt = PROMPT;

    Editor(std::vector<std::string> completed, fs::path file)
        : words(std::move(completed)), history_file(std::move(file)) {
        std::setlocale(LC_CTYPE, "");  // so that a character is one, however many bytes it has
        line = el_init("shimmy", stdin, stdout, stderr);
        history = history_init();
        el_set(line, EL_CLIENTDATA, this);
        el_set(
            line, EL_PROMPT, +[](EditLine * from) { return const_cast<char *>(of(from)->prompt); });
        el_set(line, EL_EDITOR, "emacs");
        el_set(line, EL_HIST, ::history, history);
        el_set(
            line, EL_ADDFN, "shimmy-complete", "completes a command",
            +[](EditLine * from, int) { return of(from)->complete(from); });
        el_set(line, EL_BIND, "^I", "shimmy-complete", nullptr);
        HistEvent event;
        ::history(history, &event, H_SETSIZE, MAX_HISTORY);
        ::history(history, &event, H_SETUNIQUE, 1);
        if (!history_file.empty()) ::history(history, &event, H_LOAD, history_file.c_str());
    }

    ~Editor() {
        HistEvent event;
        if (!history_file.empty()) {
            std::error_code ignored;
            fs::create_directories(history_file.parent_path(), ignored);
            ::history(history, &event, H_SAVE, history_file.c_str());
            fs::permissions(history_file, fs::perms::owner_read | fs::perms::owner_write, ignored);
        }
        history_end(history);
        el_end(line);
    }
    Editor(const Editor &) = delete;
    Editor & operator=(const Editor &) = delete;

    static Editor * of(EditLine * from) {
        Editor * editor = nullptr;
        el_get(from, EL_CLIENTDATA, &editor);
        return editor;
    }

    // The only word that begins like the line.
    unsigned char complete(EditLine * from) const {
        const LineInfo * info = el_line(from);
        const std::string_view begin(info->buffer, static_cast<size_t>(info->cursor - info->buffer));
        const std::string * found = nullptr;
        for (const std::string & word : words) {
            if (begin.empty() || !word.starts_with(begin)) continue;
            if (found != nullptr) return CC_ERROR;
            found = &word;
        }
        if (found == nullptr || el_insertstr(from, found->substr(begin.size()).c_str()) != 0) return CC_ERROR;
        return CC_REFRESH;
    }

    std::optional<std::string> read(const char * shown) {
        prompt = shown;
        int count = 0;
        const char * text = el_gets(line, &count);
        if (text == nullptr || count <= 0) return std::nullopt;
        HistEvent event;
        if (text[0] != '\n') ::history(history, &event, H_ENTER, text);
        return std::string(text, static_cast<size_t>(count));
    }
};

Terminal::Terminal(std::vector<std::string> words, const fs::path & history) : colours_(wants_colours()) {
    if (::isatty(STDIN_FILENO) != 0 && ::isatty(STDOUT_FILENO) != 0)
        editor_ = std::make_unique<Editor>(std::move(words), history);
}

Terminal::~Terminal() = default;

std::optional<std::string> Terminal::read_line(const char * prompt) {
    std::optional<std::string> line;
    if (editor_ != nullptr) {
        line = editor_->read(prompt);
    } else if (std::string plain; std::getline(std::cin, plain)) {
        line = plain + "\n";
    }
    if (interrupted() && editor_ != nullptr) {
        clear_interrupt();
        // It came before the line was begun (a second Ctrl-C for the answer before), or else took back what was typed.
        if (line && line->ends_with('\n')) return line;
        std::clearerr(stdin);
        el_reset(editor_->line);
        write("\n");
        return "";
    }
    return line;
}

std::optional<std::string> Terminal::read_message() {
    std::optional<std::string> line = read_line(PROMPT);
    if (!line) return std::nullopt;
    std::string text = *line;
    const auto read_more = [&] {
        line = read_line(PROMPT_MORE);
        if (line && line->empty()) text.clear();
        const bool goes_on = line && !line->empty();
        if (goes_on) text += *line;
        return goes_on;
    };
    if (text.starts_with(BLOCK)) {
        text.erase(0, BLOCK.size());
        if (text == "\n") text.clear();
        while (text.find(BLOCK) == std::string::npos && read_more())
            ;
        text.resize(std::min(text.size(), text.find(BLOCK)));
    } else {
        while (text.ends_with("\\\n")) {
            text.replace(text.size() - 2, 2, "\n");
            if (!read_more()) break;
        }
    }
    while (text.ends_with('\n'))
        text.pop_back();
    return text;
}

void Terminal::write(std::string_view text) {
    if (text.empty()) return;
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
    last_ = text.back();
}

void Terminal::write_answer(std::string_view text) {
    if (thinking_) {
        thinking_ = false;
        if (colours_) fmt::print("{}", RESET);
        write(last_ == '\n' ? "\n" : "\n\n");
    }
    write(text);
}

void Terminal::write_thought(std::string_view text) {
    if (!thinking_ && colours_) fmt::print("{}", DIM);
    thinking_ = true;
    write(text);
}

void Terminal::end_answer() {
    if (thinking_ && colours_) fmt::print("{}", RESET);
    thinking_ = false;
    if (last_ != '\n') write("\n");
    std::fflush(stdout);
}

void Terminal::note(const std::string & text) const {
    fmt::print(stderr, "{}{}{}\n", colours_ ? DIM : "", text, colours_ ? RESET : "");
}

}  // namespace shimmy::cli

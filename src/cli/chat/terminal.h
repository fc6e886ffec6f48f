// The terminal of a chat: lines that are edited and remembered, colours, and pieces of an answer as they come. Where
// standard input or output is none, plain lines and plain text.
#pragma once

#include "base/files.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace shimmy::cli {

class Terminal {
public:
    // `words`: what the tabulator completes at the beginning of a line. `history`: file for the lines; empty: none.
    Terminal(std::vector<std::string> words, const fs::path & history);
    ~Terminal();
    Terminal(const Terminal &) = delete;
    Terminal & operator=(const Terminal &) = delete;

    bool is_interactive() const { return editor_ != nullptr; }

    // What the user says next, without the newline at its end: one line, lines that end with '\' together with the
    // next, or all between """ and """. nullopt at the end of the input. An empty text for a Ctrl-C.
    std::optional<std::string> read_message();

    void write_answer(std::string_view text);
    void write_thought(std::string_view text);
    void end_answer();
    // A line that is not the model's: on stderr, dim on a terminal.
    void note(const std::string & text) const;

private:
    struct Editor;

    std::optional<std::string> read_line(const char * prompt);
    void write(std::string_view text);

    std::unique_ptr<Editor> editor_;  // null: no terminal
    bool colours_;
    bool thinking_ = false;
    char last_ = '\n';
};

}  // namespace shimmy::cli

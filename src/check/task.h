// A task with a criterion that a program can decide: no model judges another.
#pragma once

#include "base/json.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace shimmy::check {

enum class Kind { code, arithmetic, verse, explanation };
const char * to_string(Kind kind);

// A Python function is called and must return this.
struct CodeCase {
    Json arguments;  // an array
    Json returns;
};

// Several words for one thing: an answer covers it if one of them is in it, in any case, as part of a word.
struct Concept {
    std::vector<std::string> words;
};

struct Task {
    std::string id;
    Kind kind = Kind::explanation;
    std::string prompt;  // a user's message
    int max_tokens = 256;
    std::vector<Concept> concepts;  // of every kind; an explanation has some

    // code
    std::string function;  // empty: the last one that the answer defines
    std::vector<CodeCase> cases;
    std::chrono::milliseconds time{5000};  // for all cases
    uint64_t memory_bytes = 0;

    // arithmetic
    double result = 0.0;

    // verse
    int min_lines = 0;
    int min_stanzas = 1;
    int lines_per_stanza = 0;  // 0: any
    int max_words_per_line = 0;
};

// [[tasks]] of a TOML file. Throws UsageError with file:line, as campaigns do; Error if it cannot be read.
std::vector<Task> read_tasks(const std::filesystem::path & file);

// The tasks that come with the program.
std::filesystem::path builtin_tasks();

}  // namespace shimmy::check

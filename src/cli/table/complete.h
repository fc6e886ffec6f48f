// What a shell offers for the word at the cursor, from the options table.
#pragma once

#include "cli/table/options_table.h"

#include <functional>
#include <string>
#include <vector>

namespace shimmy::cli {

struct Candidate {
    std::string word;
    std::string description;  // one line; may be empty
};

struct Candidates {
    std::vector<Candidate> all;
    bool are_files = false;  // some are names of files and folders, which end in '/': a shell quotes what they hold
};

// `words`: what follows the program's name, up to the word at the cursor, which may be empty. An option and its value
// may be one word, or three as bash cuts them: "--model", "=", "phi". `model_names` is asked only where such a name
// fits.
Candidates complete(const CommandRow & root, const std::vector<std::string> & words,
                    const std::function<std::vector<std::string>()> & model_names);

// A line per candidate, word and description with a tab between them; before them ":files" if they are.
std::string to_lines(const Candidates & candidates);

// What a user sources: a function of some lines that runs `shimmy __complete`. `shell`: bash, zsh or fish.
std::string completion_script(const std::string & shell);

}  // namespace shimmy::cli

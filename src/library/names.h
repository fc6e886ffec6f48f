// Names of models: what `shimmy list` prints and `--model` takes.
#pragma once

#include "base/files.h"

#include <optional>
#include <string>
#include <vector>

namespace shimmy::library {

// "Phi_3.5 MoE" -> "phi-3.5-moe": lower case, '_' and spaces become '-'.
std::string normalized_name(const std::string & stem);

// One part of a split model: "phi-00002-of-00003.gguf" is part 2 of 3 of "phi".
struct SplitPart {
    std::string stem;
    int part = 0;  // from 1
    int parts = 0;
};

// Empty if the file name has not llama.cpp's form of a part.
std::optional<SplitPart> split_part(const std::string & file_name);

// File name of a part: the inverse of split_part.
std::string split_file_name(const SplitPart & part);

// The file's name without ".gguf" and without the number of a split part.
std::string name_stem(const fs::path & file);

// The files of the model whose (first) file this is, in order: one, or every part of a split model. Throws Error
// naming the missing part.
std::vector<fs::path> model_files(const fs::path & first);

// Edits (insertions, deletions, replacements, swaps of neighbours) that turn one name into the other.
size_t edit_distance(const std::string & a, const std::string & b);

}  // namespace shimmy::library

// From what the user typed to a model file.
#pragma once

#include "library/environment.h"
#include "library/scan.h"

#include <optional>
#include <string>
#include <vector>

namespace shimmy::library {

// The file that `--model FILE|NAME` means: an existing file wins, else a name as `shimmy list` prints it, in any
// spelling that normalizes to it; "phi3" also finds Ollama's "phi3:latest". `dirs` is --model-dirs. Throws Error that
// lists the nearest names.
fs::path resolve(const std::string & name_or_path, const std::string & dirs);
fs::path resolve(const std::string & name_or_path, const std::string & dirs, const Environment & environment);

// The same of names alone; none if no model has it.
std::optional<fs::path> find_named(const std::string & name, const std::string & dirs);
std::optional<fs::path> find_named(const std::string & name, const std::string & dirs, const Environment & environment);

// Up to `count` of `names`, best first: those that hold `wanted`, then by edit distance; none that share nothing.
std::vector<std::string> nearest_names(const std::string & wanted, const std::vector<std::string> & names,
                                       size_t count);

}  // namespace shimmy::library

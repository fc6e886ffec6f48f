// From --model to a file: on this machine, or on the Hub.
#pragma once

#include "cli/command.h"
#include "hub/download/pull.h"

#include <optional>
#include <string>

namespace shimmy::cli {

// "hf:USER/NAME[@REVISION][:QUANT]" for what people paste: hf.co/USER/NAME:QUANT, https://huggingface.co/USER/NAME;
// "hf:USER/NAME:FILE.gguf" for the address of a file there; any other text as it is.
std::string canonical_model_name(const std::string & text);

// A file, a name from `shimmy list` (those of Ollama begin with "hf.co/" too), or one on the Hub,
// "hf:USER/NAME[:QUANT]", which is downloaded unless the cache has it. Of a split model its first part. Throws Error.
fs::path model_file(const std::string & file_or_name, const Globals & globals);

// The same without a download: nullopt for a name on the Hub that Ollama has not fetched.
std::optional<fs::path> file_here(const std::string & file_or_name, const Globals & globals);

// hub::pull_model() with a bar on stderr unless `quiet`.
hub::PulledModel pull_with_progress(const std::string & name, bool quiet);

}  // namespace shimmy::cli

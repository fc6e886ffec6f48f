// Ollama's store: manifests that name blobs.
#pragma once

#include "base/files.h"

#include <string>
#include <vector>

namespace shimmy::library {

struct OllamaModel {
    std::string name;  // as Ollama shows it: "phi3:mini", "someone/phi3:latest", "hf.co/org/repo:Q4_K_M"
    fs::path blob;     // the GGUF; exists
};

// True if `dir` holds manifests/ and blobs/.
bool is_ollama_dir(const fs::path & dir);

// Models of the store, by manifest path. A manifest that cannot be read, or whose blob is missing, becomes a warning.
std::vector<OllamaModel> ollama_models(const fs::path & dir, std::vector<std::string> & warnings);

}  // namespace shimmy::library

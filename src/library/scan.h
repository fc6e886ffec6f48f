// Finds model files in folders, without opening them.
#pragma once

#include "library/search_dirs.h"

#include <string>
#include <vector>

namespace shimmy::library {

// A file `a/b/c/model.gguf` below a search folder is found, one deeper is not. In the Hugging Face cache the depth
// counts anew inside a repository's folder, as repositories keep split models in folders of their own.
inline constexpr int MAX_DEPTH = 4;

struct FoundModel {
    std::string name;    // unique among the found
    fs::path path;       // of a split model, its first part
    std::string source;  // SearchDir::source
};

struct Scan {
    std::vector<FoundModel> models;
    std::vector<std::string> warnings;  // one line each: unreadable folders, dangling links, missing split parts
};

// Every `*.gguf` and every model of an Ollama store, once each even if several links or folders lead to it, in the
// order of `dirs` and then by path. A name is the file's stem (Ollama: its own name) in lower case with '-' for '_' and
// spaces; of equal names the first found keeps it and the others become `name@source`, then `name@source-2`, ….
Scan scan(const std::vector<SearchDir> & dirs);

}  // namespace shimmy::library

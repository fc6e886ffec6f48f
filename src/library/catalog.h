// The models of this machine with what their metadata says.
#pragma once

#include "gguf/purpose.h"
#include "library/scan.h"

#include <cstdint>
#include <string>
#include <vector>

namespace shimmy::library {

using gguf::is_llm;
using gguf::ModelType;
using gguf::to_string;

struct CatalogModel {
    std::string name;  // unique, as resolve() takes it
    fs::path path;     // of a split model, its first part
    std::string source;
    ModelType type = ModelType::other;
    std::string arch;
    std::string quantization;
    uint64_t size_bytes = 0;  // all parts
    uint64_t n_params = 0;    // 0: unknown
    int64_t n_expert = 0;
};

struct Catalog {
    std::vector<CatalogModel> models;   // in the order found
    std::vector<std::string> warnings;  // of the scan, and files that are not whole GGUFs
};

// Reads the metadata of every model found. A file that cannot be read becomes a warning and is not listed.
Catalog read_catalog(const std::vector<SearchDir> & dirs);

}  // namespace shimmy::library

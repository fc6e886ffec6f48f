// The list of a bundle's files: manifest.json.
//
//   {"bundle_format": 1, "campaign": "tiny", "shimmy_version": "0.2.0", "llama_cpp_version": "0.5.0",
//    "written_by": "0.2.0", "files": [{"file": "summary.json", "size_bytes": 1234, "sha256": "…"}, …]}
#pragma once

#include "base/files.h"

#include <string>
#include <vector>

namespace shimmy::report {

inline constexpr const char * MANIFEST = "manifest.json";

struct BundleFile {
    std::string file;  // relative, with '/'
    uint64_t size_bytes = 0;
    std::string sha256;
};

struct Manifest {
    std::string campaign;
    std::string shimmy_version;  // that measured
    std::string llama_cpp_version;
    std::string written_by;         // version of shimmy that computed the figures and wrote the bundle
    std::vector<BundleFile> files;  // by name, without manifest.json itself
};

// Of everything in the folder but manifest.json.
std::vector<BundleFile> list_files(const fs::path & dir);

void write_manifest(const Manifest & manifest, const fs::path & dir);

// Throws Error if the folder is no bundle, or one of a format that this version does not know.
Manifest read_manifest(const fs::path & dir);

}  // namespace shimmy::report

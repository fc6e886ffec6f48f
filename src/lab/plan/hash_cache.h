// SHA-256 of model files, computed once per file: tens of gigabytes take minutes.
#pragma once

#include "base/files.h"
#include "base/json.h"

#include <functional>
#include <string>

namespace shimmy::lab {

class HashCache {
public:
    // `file` holds the hashes of earlier times; one that is missing or damaged counts as empty.
    explicit HashCache(fs::path file);

    // SHA-256 of the model whose (first) file this is. Of a split model: the SHA-256 of its parts' sums in the form
    // `sha256sum` prints ("<hex>  <file name>\n" per part). A file counts as unchanged while its size and its
    // modification time are. `progress` is called only while a file is read.
    std::string model_sha256(const fs::path & first, const std::function<ByteProgress(const fs::path &)> & progress);

    // Of one file.
    std::string file_sha256(const fs::path & file, const std::function<ByteProgress(const fs::path &)> & progress);

    // Writes the cache, if something was added.
    void save();

private:
    fs::path file_;
    Json entries_;  // {"<absolute path>": {"size_bytes", "mtime_ns", "sha256"}}
    bool changed_ = false;
};

}  // namespace shimmy::lab

// A GGUF model file, or all parts of a split one: metadata and tensor table, without reading the weights.
//
// ggml has a reader too, which accepts the same files (the tests compare the two). It copies every string of the
// vocabulary, compares all names with each other and does not notice a file that ends before its weights do; this one
// maps the file and looks only at what is asked for, so that inspecting takes milliseconds whatever the size.
#pragma once

#include "gguf/metadata.h"
#include "gguf/parse.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

namespace shimmy::gguf {

class GgufFile {
public:
    // Throws Error "FILE: reason": missing, a folder, not a GGUF, unsupported version, big-endian, truncated, counts
    // or offsets that cannot be, a later part of a split model (names the first), a part missing (names it).
    explicit GgufFile(const std::filesystem::path & path);
    ~GgufFile();
    GgufFile(GgufFile &&) noexcept;
    GgufFile & operator=(GgufFile &&) noexcept;

    const std::filesystem::path & path() const { return shards_.front(); }
    const std::vector<std::filesystem::path> & shards() const { return shards_; }
    uint64_t size_bytes() const { return size_bytes_; }  // on disk, all parts
    uint32_t version() const { return version_; }

    const Metadata & metadata() const { return metadata_; }               // of the first part
    const std::vector<TensorInfo> & tensors() const { return tensors_; }  // of all parts, in file order

private:
    class Mapping;
    Metadata read_part(const std::filesystem::path & path);
    bool another_follows() const;
    void read_other_parts();

    std::vector<std::filesystem::path> shards_;
    std::vector<std::unique_ptr<Mapping>> mappings_;
    uint64_t size_bytes_ = 0;
    uint32_t version_ = 0;
    Metadata metadata_;
    std::vector<TensorInfo> tensors_;
};

}  // namespace shimmy::gguf

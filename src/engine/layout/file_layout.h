// Internal to the engine: a GGUF file of planned tensors before its weights are written.
#pragma once

#include "engine/layout/planned_tensors.h"

#include "gguf.h"

#include <cstdint>
#include <filesystem>
#include <vector>

namespace shimmy::engine {

// Header, metadata and tensor table of the file, and where its weights go.
struct FileLayout {
    std::vector<uint8_t> header;         // padded to the alignment: the weights follow
    std::vector<uint64_t> offset_bytes;  // of each planned tensor, from the start of the file
    uint64_t total_bytes = 0;
};

// Adds the tensors to `metadata`.
FileLayout lay_out(gguf_context * metadata, const TensorPlan & plan);

// A model's file without its weights, for loads that allocate nothing: a hole, in memory, of which the header is all
// that takes room. It has no name in any folder, so nothing is left of it however the process ends.
class HollowFile {
public:
    explicit HollowFile(const FileLayout & layout);
    ~HollowFile();
    HollowFile(const HollowFile &) = delete;
    HollowFile & operator=(const HollowFile &) = delete;

    // For this process, while this object lives.
    const std::filesystem::path & path() const { return path_; }

private:
    int fd_;
    std::filesystem::path path_;
};

}  // namespace shimmy::engine

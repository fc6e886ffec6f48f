// The base's predictions of a text on disk: written chunk by chunk, then read in the same order once per model.
#pragma once

#include "base/files.h"
#include "base/json.h"
#include "engine/load/routing.h"

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace shimmy::quality {

// What the base says about one chunk of n_ctx tokens.
struct ReferenceChunk {
    std::vector<int32_t> tokens;
    std::vector<double> nll;  // per scored row: -log of the probability of the right token, not rounded
    std::string rows;         // the scored rows, quality/row_codec.h
    std::vector<engine::LayerRouting> routing;  // of all tokens; empty for a model without experts
};

// A line of JSON that says what it holds and its SHA-256, then the chunks, each behind its length and its SHA-256.
class ReferenceFile {
public:
    // Starts a new one. Under a name, it becomes visible with commit(); `path` empty: a file without a name, which goes
    // with the object. Throws Error if it cannot be made.
    ReferenceFile(const fs::path & path, const Json & header);
    // Opens an existing one and checks every byte. Throws Error that says what is wrong.
    explicit ReferenceFile(const fs::path & path);

    const Json & header() const { return header_; }
    size_t n_chunks() const { return n_chunks_; }

    // Throws Error if the disk is full.
    void append(const ReferenceChunk & chunk);
    // Call after the last append.
    void commit();

    void rewind();
    // The next chunk. Throws Error at the end, or if the bytes are not those that were written.
    ReferenceChunk read();

private:
    struct Close {
        void operator()(std::FILE * file) const { std::fclose(file); }
    };

    std::string read_blob();

    Json header_;
    std::string name_;  // for messages
    std::unique_ptr<PartFile> part_;
    std::unique_ptr<std::FILE, Close> file_;
    long begin_ = 0;  // of the first chunk
    size_t n_chunks_ = 0;
};

}  // namespace shimmy::quality

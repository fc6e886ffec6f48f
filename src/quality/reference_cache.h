// Base predictions of earlier commands, so that a second model costs one run and not two.
#pragma once

#include "quality/reference_file.h"

#include <cstdint>
#include <memory>
#include <string>

namespace shimmy::quality {

class ReferenceCache {
public:
    // `dir` empty: nothing is kept. The files in it take `limit_bytes` together at most.
    ReferenceCache(fs::path dir, uint64_t limit_bytes) : dir_(std::move(dir)), limit_bytes_(limit_bytes) {}

    // What was kept for these settings, every byte of it checked; null if there is none. One that is damaged is
    // removed, and note() says so.
    std::unique_ptr<ReferenceFile> find(const Json & settings);

    // A new file for these settings; `header` holds more that its readers need. The files longest unused make room for
    // `bytes`; where that is beyond the limit or the disk, or the folder cannot be written, the file has no name and
    // goes with the object, and note() says why.
    std::unique_ptr<ReferenceFile> create(const Json & settings, Json header, uint64_t bytes);

    // What a person should know of the last find(), and of a create() after it; empty: nothing.
    const std::string & note() const { return note_; }

private:
    fs::path path_of(const Json & settings) const;
    void make_room(uint64_t bytes) const;

    fs::path dir_;
    uint64_t limit_bytes_;
    std::string note_;
};

}  // namespace shimmy::quality

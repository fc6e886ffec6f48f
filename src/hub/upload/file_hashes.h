// Internal to hub: hashes a file, and each of its parts, in one pass on a thread of its own. It runs beside the upload,
// which sends the parts in any order: what was sent is what was hashed if the hashes of all parts agree.
#pragma once

#include "hub/upload/lfs_object.h"

#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace shimmy::hub {

// Throws Error unless that is the hash of the object.
void require_hash(const LfsObject & object, const std::string & sha256);

class FileHashes {
public:
    FileHashes(const LfsObject & object, uint64_t part_bytes);
    ~FileHashes() = default;  // stops the pass
    FileHashes(const FileHashes &) = delete;
    FileHashes & operator=(const FileHashes &) = delete;

    uint64_t part_bytes() const { return part_bytes_; }

    // Throws Error once it is known that the file is not the object. Does not wait.
    void check() const;

    // Waits for the end of the pass. Sha256 of each part; throws as check() does, and Interrupted.
    const std::vector<std::string> & parts() const;

private:
    void run(const std::stop_token & stop);
    void read(const std::stop_token & stop);

    const LfsObject & object_;
    const uint64_t part_bytes_;
    mutable std::mutex mutex_;  // guards what follows
    mutable std::condition_variable changed_;
    bool ended_ = false;
    std::exception_ptr error_;
    std::vector<std::string> parts_;
    std::jthread thread_;  // last: it ends before what it uses goes
};

}  // namespace shimmy::hub

// A large file into the Hub's storage, whole or in parallel parts, going on where an earlier upload was.
#pragma once

#include "hub/upload/lfs_batch.h"
#include "hub/upload/lfs_object.h"

#include <cstdint>

namespace shimmy::hub {

struct UploadOptions {
    fs::path state_dir;  // remembers which parts were sent
    int n_parallel = 4;  // parts at once; each reads the file where it is sent from, so memory does not grow with parts
};

struct UploadResult {
    bool was_there = false;   // the Hub had it
    uint64_t sent_bytes = 0;  // of parts that the storage has taken from this call
};

// Returns when the Hub has the object. Expired addresses are asked for anew, broken parts sent again. The bytes are
// hashed as they are sent: a file that is not the object, or is written to meanwhile, is not completed. `progress` is
// called on the calling thread. Throws Error, Interrupted; what the storage has by then is not sent again by the next
// call.
UploadResult upload_object(const Api & api, const LfsTarget & target, const LfsObject & object,
                           const UploadOptions & options, const ByteProgress & progress);

}  // namespace shimmy::hub

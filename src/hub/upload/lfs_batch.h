// The batch call of git-lfs with the Hub's "multipart" transfer: whether a large file is wanted, and where it goes.
#pragma once

#include "hub/api/api.h"

#include <cstdint>
#include <string>
#include <vector>

namespace shimmy::hub {

struct LfsTarget {
    std::string repo;
    std::string ref;  // branch; empty for a pull request
};

// URLs are signed, for minutes or hours: they are not shown and get no token.
struct UploadActions {
    bool stored = false;                  // the Hub has the object: nothing to send
    std::string href;                     // basic: where the object is PUT; multipart: where its parts are put together
    uint64_t chunk_bytes = 0;             // of a part; 0: basic
    std::vector<std::string> part_hrefs;  // part 1 first
    std::string verify_href;              // empty: none
};

// Throws Error if the Hub refuses the object, or its answer does not fit the size.
UploadActions request_upload(const Api & api, const LfsTarget & target, const std::string & sha256,
                             uint64_t size_bytes);

// Tells the Hub that the object is there, if it asked for that.
void confirm_upload(const Api & api, const std::string & verify_href, const std::string & sha256, uint64_t size_bytes);

// True if both are the same unfinished upload, so that parts sent for one count for the other.
bool is_same_upload(const UploadActions & a, const UploadActions & b);

}  // namespace shimmy::hub

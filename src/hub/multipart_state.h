// What is known of an unfinished multipart upload, on disk: which parts the storage has, so that a killed program does
// not send them again.
#pragma once

#include "base/files.h"
#include "hub/lfs_batch.h"

#include <string>
#include <vector>

namespace shimmy::hub {

class MultipartState {
public:
    // `dir`: folder for these files, made if needed. `key` names endpoint and repository: another's state does not
    // count.
    MultipartState(const fs::path & dir, std::string key, const std::string & sha256, uint64_t size_bytes);

    // True if an upload of this object was begun.
    bool is_started() const { return !actions_.part_hrefs.empty(); }

    void start(const UploadActions & actions);  // a new upload, without parts
    void renew(const UploadActions & actions);  // the same upload, with other URLs
    void add(size_t part, const std::string & etag);
    void remove();

    const UploadActions & actions() const { return actions_; }
    const std::vector<std::string> & etags() const {
        return etags_;
    }  // per part, as the storage sent it; empty: missing
    size_t n_done() const;

private:
    void load();
    void write_head() const;

    fs::path head_file_;   // JSON: key, size, URLs; only for this user, as the URLs are signed
    fs::path etags_file_;  // a line per part: "<index> <etag>"
    std::string key_;
    uint64_t size_bytes_;
    UploadActions actions_;
    std::vector<std::string> etags_;
};

}  // namespace shimmy::hub

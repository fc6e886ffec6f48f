// What is known of an unfinished multipart upload, on disk: which parts the storage has, so that a killed program does
// not send them again.
#pragma once

#include "base/files.h"
#include "hub/upload/lfs_batch.h"

#include <string>
#include <vector>

namespace shimmy::hub {

// A part that the storage has.
struct SentPart {
    std::string etag;    // as the storage sent it; empty: it has none
    std::string sha256;  // of the bytes that were sent
};

class MultipartState {
public:
    // `dir`: folder for these files, made if needed. `key` names endpoint and repository: another's state does not
    // count.
    MultipartState(const fs::path & dir, std::string key, const std::string & sha256, uint64_t size_bytes);

    // True if an upload of this object was begun.
    bool is_started() const { return !actions_.part_hrefs.empty(); }

    void start(const UploadActions & actions);  // a new upload, without parts
    void renew(const UploadActions & actions);  // the same upload, with other URLs
    void set(size_t part, const SentPart & sent);
    void remove();

    const UploadActions & actions() const { return actions_; }
    const std::vector<SentPart> & parts() const { return parts_; }
    bool has(size_t part) const { return !parts_[part].etag.empty(); }
    size_t n_done() const;

private:
    void load();
    void write_head() const;

    fs::path head_file_;   // JSON: key, size, URLs; only for this user, as the URLs are signed
    fs::path parts_file_;  // a line per part, the last one counts: "<index> <sha256> <etag>"
    std::string key_;
    uint64_t size_bytes_;
    UploadActions actions_;
    std::vector<SentPart> parts_;
};

}  // namespace shimmy::hub

// The cache that all of the Hub's clients share: models--USER--NAME/{blobs,refs,snapshots}, in Environment::cache_dir.
#pragma once

#include "base/files.h"

#include <optional>
#include <string>
#include <vector>

namespace shimmy::hub {

class RepositoryCache {
public:
    RepositoryCache(const fs::path & cache_dir, const std::string & repo);

    // Where a file of a commit is found: a link to its blob.
    fs::path snapshot_path(const std::string & commit, const std::string & file) const;

    // Where a content lies, and grows while it is downloaded: named by its ETag.
    fs::path blob_path(const std::string & etag) const;
    fs::path incomplete_path(const std::string & etag) const;

    // Held while a blob is written, against other processes and other clients.
    fs::path lock_path(const std::string & etag) const;

    // Says in which state the blob had its hash.
    fs::path checked_path(const std::string & etag) const;

    // Makes the snapshot's file a link to the blob.
    void link(const std::string & commit, const std::string & file, const std::string & etag) const;

    // The commit that a branch stood at when it was last looked at; nullopt if it never was. A commit stands at itself.
    std::optional<std::string> commit_of(const std::string & revision) const;
    void set_commit(const std::string & revision, const std::string & commit) const;

    // Files of a snapshot whose content is there.
    std::vector<std::string> files_of(const std::string & commit) const;

private:
    fs::path dir_;
    fs::path locks_dir_;
};

}  // namespace shimmy::hub

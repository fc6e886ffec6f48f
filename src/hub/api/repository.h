// What a repository on the Hub holds.
#pragma once

#include "hub/api/api.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace shimmy::hub {

inline constexpr const char * MAIN = "main";

struct RemoteFile {
    std::string path;
    uint64_t size_bytes = 0;
    std::string git_oid;  // SHA-1 of the blob: of a large file's pointer
    std::string sha256;   // of a large (LFS) file; empty for one that git itself holds

    bool is_large() const { return !sha256.empty(); }
    // Of what it holds, as the Hub's own clients name a file in their cache.
    const std::string & etag() const { return is_large() ? sha256 : git_oid; }
};

// The commit that a revision (branch, tag, commit, "refs/pr/1") stands at; nullopt if there is no such repository that
// the token may read, or no such revision in it.
std::optional<std::string> find_commit(const Api & api, const std::string & repo, const std::string & revision);

bool repository_exists(const Api & api, const std::string & repo);

// Every file of a revision, all pages.
std::vector<RemoteFile> list_files(const Api & api, const std::string & repo, const std::string & revision);

// What of a repository has a name.
struct Refs {
    std::vector<std::string> branches;       // "main"
    std::vector<std::string> pull_requests;  // "refs/pr/1"
};
Refs list_refs(const Api & api, const std::string & repo);

// Where a file's content is asked for, as a path of the endpoint.
std::string resolve_path(const std::string & repo, const std::string & revision, const std::string & file);

// What HEAD of that path says: the size and the hash of what would be sent. Throws Error if there is no such file.
struct FileHead {
    std::string etag;  // sha256 of a large file, else the SHA-1 of the blob
    uint64_t size_bytes = 0;
    std::string commit;
};
FileHead file_head(const Api & api, const std::string & repo, const std::string & revision, const std::string & file);

}  // namespace shimmy::hub

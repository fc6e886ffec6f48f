// What changes a repository on the Hub: creating it, and commits that are made once even if an answer is lost.
#pragma once

#include "hub/api/repository.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace shimmy::hub {

struct Account {
    std::string name;
    std::vector<std::string> organizations;
    std::string role;  // of the token: "read", "write", "fineGrained", …; empty if the Hub does not say
};

// Whom the token belongs to. Throws Error if the Hub does not know it. The Hub limits this call strictly: once per run.
Account who_am_i(const Api & api);

// Throws Error if the token may not write to this repository, which must exist.
void check_write_access(const Api & api, const std::string & repo);

// Throws Error unless it is there afterwards. One that exists already stays as it is.
void create_repository(const Api & api, const std::string & repo, bool is_private);

// Throws UsageError unless git takes the name for a branch. `what` begins the message: "--revision".
void check_branch_name(const std::string & branch, const std::string & what);

// A copy of main. Throws Error unless it is there afterwards. One that exists already stays as it is.
void create_branch(const Api & api, const std::string & repo, const std::string & branch);

// What the Hub says about a card's front matter; it would refuse the commit for the errors.
struct CardCheck {
    std::vector<std::string> errors;
    std::vector<std::string> warnings;
};
CardCheck check_card(const Api & api, const std::string & card);

// A file that is to be as it is here.
struct NewFile {
    std::string path;  // in the repository
    fs::path file;
    uint64_t size_bytes = 0;
    std::string sha256;
    bool is_large =
        false;  // goes to the storage of large files, not into the commit; the Hub decides: choose_storage()
};

// Asks the Hub which files are large, and sets it. Throws Error if the repository's .gitignore would leave one out.
void choose_storage(const Api & api, const std::string & repo, const std::string & revision, bool create_pr,
                    std::vector<NewFile> & files);

// True if the repository's file holds the same.
bool is_same_content(const NewFile & file, const RemoteFile & remote);

// Those of `files` that `remote` lacks or has with other content.
std::vector<NewFile> changed_files(const std::vector<NewFile> & files, const std::vector<RemoteFile> & remote);

struct CommitRequest {
    std::string repo;
    std::string revision = MAIN;
    std::string parent;  // commit that the change is made on; a revision that has moved on is refused
    std::string summary;
    std::string description = {};
    bool create_pr = false;
    std::vector<NewFile> files;  // those that are large must be in the storage
};

struct Commit {
    std::string oid;
    std::string url;
    std::string revision;          // where it can be found: CommitRequest::revision, or "refs/pr/1"
    std::string pull_request_url;  // empty: none
};

// If an answer is lost, the repository is looked at before it is asked again.
Commit commit_files(const Api & api, const CommitRequest & request);

// A pull request whose files are already those; nullopt if there is none.
std::optional<Commit> find_pull_request(const Api & api, const std::string & repo, const std::vector<NewFile> & files,
                                        const std::vector<std::string> & among);

}  // namespace shimmy::hub

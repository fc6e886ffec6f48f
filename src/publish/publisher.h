// Brings a repository on the Hub to hold a package, and looks whether it does.
#pragma once

#include "hub/upload/verification.h"
#include "publish/package.h"
#include "publish/reporter.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace shimmy::publish {

struct PublishOptions {
    std::string revision = hub::MAIN;  // a branch, made from main if it is not there
    bool is_private = false;           // of a repository that is created
    bool create_pr = false;
    std::string message;  // of the commit; empty: made up
};

// What of the package the Hub has. Only reads.
struct Difference {
    bool exists = false;          // the repository
    bool creates_branch = false;  // the revision is not there
    std::string commit;           // that it stands at, or will be made from; empty if the repository does not exist
    std::vector<hub::NewFile> added;
    std::vector<hub::NewFile> changed;
    std::vector<hub::NewFile> unchanged;
    std::vector<std::string> others;               // files there that are none of the package's: they stay
    std::optional<hub::Commit> open_pull_request;  // with --create-pr: one that holds the package already

    bool has_files() const { return !added.empty() || !changed.empty(); }
    bool is_empty() const { return exists && !creates_branch && (!has_files() || open_pull_request); }
    uint64_t bytes() const;  // of what is added and changed
};

// Throws Error if the revision cannot be committed to, UsageError if it is no name of a branch.
Difference compare(const hub::Api & api, const Package & package, const PublishOptions & options);

struct Outcome {
    hub::Commit commit;
    bool is_new = false;                // false: everything was there, and nothing was changed
    uint64_t sent_bytes = 0;            // of large files
    std::vector<std::string> warnings;  // the Hub's, of the card
    std::vector<hub::Check> checks;

    bool verified() const;
};

// Where a person finds it: the pull request, the branch, or the repository.
std::string page_url(const std::string & endpoint, const std::string & repo, const hub::Commit & commit);

// Checks the card, creates the repository and the branch if they are not there, uploads, commits, verifies. `state_dir`
// remembers uploads that were cut off. Throws Error; what was uploaded by then is not sent again by the next call.
Outcome publish_package(const hub::Api & api, const Package & package, const Difference & difference,
                        const PublishOptions & options, const fs::path & state_dir, Reporter & reporter);

}  // namespace shimmy::publish

#include "publish/publisher.h"

#include "base/error.h"
#include "base/version.h"
#include "hub/upload/lfs_upload.h"

#include <algorithm>

namespace shimmy::publish {

namespace {

// .gitattributes is the Hub's own: the commit edits it.
constexpr const char * GIT_ATTRIBUTES = ".gitattributes";
constexpr const char * PULL_REQUEST = "refs/pr/";

const hub::NewFile & card_of(const Package & package) {
    for (const hub::NewFile & file : package.files) {
        if (file.path == CARD) return file;
    }
    fail("{}: there is no card to publish", package.repo);
}

// Before anything is created: the Hub would refuse the commit, after everything was uploaded.
std::vector<std::string> check_card(const hub::Api & api, const Package & package) {
    const hub::CardCheck check = hub::check_card(api, read_file(card_of(package).file));
    if (!check.errors.empty())
        fail("the Hub refuses the card of {}: {}: change the campaign", package.repo, fmt::join(check.errors, "; "));
    return check.warnings;
}

uint64_t upload(const hub::Api & api, const std::string & repo, const hub::NewFile & file,
                const PublishOptions & options, const fs::path & state_dir, Reporter & reporter) {
    const hub::LfsTarget target{repo, options.create_pr ? "" : options.revision};
    hub::UploadOptions upload_options;
    upload_options.state_dir = state_dir;
    const hub::UploadResult result = hub::upload_object(api, target, {file.file, file.sha256, file.size_bytes},
                                                        upload_options, reporter.bar("uploading " + file.path));
    reporter.end_bar();
    return result.sent_bytes;
}

std::vector<hub::NewFile> files_to_send(const Difference & difference) {
    std::vector<hub::NewFile> files = difference.added;
    files.insert(files.end(), difference.changed.begin(), difference.changed.end());
    return files;
}

std::string made_up_message(const Difference & difference) {
    const size_t n_files = difference.added.size() + difference.changed.size();
    return fmt::format("{} {} file{} with shimmy {}", difference.changed.empty() ? "Add" : "Update", n_files,
                       n_files == 1 ? "" : "s", shimmy_version());
}

hub::Commit upload_and_commit(const hub::Api & api, const Package & package, const Difference & difference,
                              const std::string & parent, const PublishOptions & options, const fs::path & state_dir,
                              Reporter & reporter, uint64_t & sent_bytes) {
    std::vector<hub::NewFile> files = files_to_send(difference);
    hub::choose_storage(api, package.repo, options.revision, options.create_pr, files);
    for (const hub::NewFile & file : files) {
        if (file.is_large) sent_bytes += upload(api, package.repo, file, options, state_dir, reporter);
    }
    hub::CommitRequest request;
    request.repo = package.repo;
    request.revision = options.revision;
    request.parent = parent;
    request.summary = options.message.empty() ? made_up_message(difference) : options.message;
    request.create_pr = options.create_pr;
    request.files = files;
    return hub::commit_files(api, request);
}

// Makes the repository and the branch that are not there. Returns the commit that the change is made on.
std::string make_room(const hub::Api & api, const std::string & repo, const Difference & difference,
                      const PublishOptions & options) {
    if (!difference.exists) {
        hub::create_repository(api, repo, options.is_private);
    } else if (!options.create_pr) {
        hub::check_write_access(api, repo);
    }
    if (difference.creates_branch) hub::create_branch(api, repo, options.revision);
    const bool is_new = !difference.exists || difference.creates_branch;
    return is_new ? hub::find_commit(api, repo, options.revision).value_or("") : difference.commit;
}

hub::Commit commit_at(const hub::Api & api, const std::string & repo, const std::string & revision,
                      const std::string & oid) {
    return {oid, fmt::format("{}/{}/commit/{}", api.environment().endpoint, repo, oid), revision, ""};
}

// Finds where the package is to go, and the commit to compare it with.
void find_revision(const hub::Api & api, const std::string & repo, const PublishOptions & options,
                   Difference & difference) {
    const bool is_main = options.revision == hub::MAIN;
    auto commit = hub::find_commit(api, repo, options.revision);
    difference.exists = commit.has_value() || hub::repository_exists(api, repo);
    if (!commit && options.create_pr) {
        fail("{}: {}: a pull request needs {} (leave out --create-pr to create it)", repo,
             difference.exists ? fmt::format("has no branch '{}'", options.revision)
                               : "is not there, or the token may not read it",
             difference.exists ? "a branch" : "a repository");
    }
    if (!commit && !is_main) hub::check_branch_name(options.revision, "--revision");
    difference.creates_branch = !commit && !is_main;
    if (!difference.exists) return;
    if (commit && !is_main && !options.revision.starts_with(PULL_REQUEST)) {
        const std::vector<std::string> branches = hub::list_refs(api, repo).branches;
        if (std::find(branches.begin(), branches.end(), options.revision) == branches.end())
            fail("{}: '{}' is no branch but a tag or a commit, which stay as they are: give --revision a branch", repo,
                 options.revision);
    }
    if (!commit) commit = hub::find_commit(api, repo, hub::MAIN);
    if (!commit) fail("{}: has no branch {}", repo, hub::MAIN);
    difference.commit = *commit;
}

// The Hub's own words for which files are large are needed to know what hash it shows.
std::vector<hub::NewFile> as_stored(const hub::Api & api, const std::string & repo, const std::string & revision,
                                    std::vector<hub::NewFile> files) {
    const std::vector<hub::RemoteFile> tree = hub::list_files(api, repo, revision);
    for (hub::NewFile & file : files) {
        for (const hub::RemoteFile & remote : tree) {
            if (remote.path == file.path) file.is_large = remote.is_large();
        }
    }
    return files;
}

}  // namespace

uint64_t Difference::bytes() const {
    uint64_t bytes = 0;
    for (const auto * files : {&added, &changed}) {
        for (const hub::NewFile & file : *files)
            bytes += file.size_bytes;
    }
    return bytes;
}

bool Outcome::verified() const {
    return std::all_of(checks.begin(), checks.end(), [](const hub::Check & check) { return check.passed; });
}

Difference compare(const hub::Api & api, const Package & package, const PublishOptions & options) {
    Difference difference;
    find_revision(api, package.repo, options, difference);
    if (!difference.exists) {
        difference.added = package.files;
        return difference;
    }
    const std::vector<hub::RemoteFile> remote = hub::list_files(api, package.repo, difference.commit);
    const auto has_path = [](const auto & files, const std::string & path) {
        return std::any_of(files.begin(), files.end(), [&](const auto & file) { return file.path == path; });
    };
    for (const hub::NewFile & file : package.files) {
        const bool same = hub::changed_files({file}, remote).empty();
        auto & group = same                          ? difference.unchanged
                       : has_path(remote, file.path) ? difference.changed
                                                     : difference.added;
        group.push_back(file);
    }
    for (const hub::RemoteFile & file : remote) {
        if (file.path != GIT_ATTRIBUTES && !has_path(package.files, file.path)) difference.others.push_back(file.path);
    }
    if (options.create_pr && !difference.is_empty()) {
        difference.open_pull_request =
            hub::find_pull_request(api, package.repo, package.files, hub::list_refs(api, package.repo).pull_requests);
    }
    return difference;
}

std::string page_url(const std::string & endpoint, const std::string & repo, const hub::Commit & commit) {
    if (!commit.pull_request_url.empty()) return commit.pull_request_url;
    const std::string page = endpoint + "/" + repo;
    return commit.revision == hub::MAIN ? page : page + "/tree/" + hub::encoded_name(commit.revision);
}

Outcome publish_package(const hub::Api & api, const Package & package, const Difference & difference,
                        const PublishOptions & options, const fs::path & state_dir, Reporter & reporter) {
    Outcome outcome;
    if (difference.is_empty()) {
        outcome.commit = difference.open_pull_request
                             ? *difference.open_pull_request
                             : commit_at(api, package.repo, options.revision, difference.commit);
    } else {
        outcome.warnings = check_card(api, package);
        const std::string parent = make_room(api, package.repo, difference, options);
        outcome.commit = difference.has_files() ? upload_and_commit(api, package, difference, parent, options,
                                                                    state_dir, reporter, outcome.sent_bytes)
                                                : commit_at(api, package.repo, options.revision, parent);
        outcome.is_new = true;
    }
    // A pull request's commit is found under its own name only.
    const bool own_name = !outcome.commit.pull_request_url.empty() || outcome.commit.oid.empty();
    const std::string revision = own_name ? outcome.commit.revision : outcome.commit.oid;
    outcome.checks =
        hub::verify_files(api, package.repo, revision, as_stored(api, package.repo, revision, package.files), CARD);
    return outcome;
}

}  // namespace shimmy::publish

#include "publish/publisher.h"

#include "base/error.h"
#include "base/version.h"
#include "hub/lfs_upload.h"

#include <algorithm>

namespace shimmy::publish {

namespace {

// .gitattributes is the Hub's own: the commit edits it.
constexpr const char * GIT_ATTRIBUTES = ".gitattributes";

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

// The bytes that are sent must be those that were measured: the file is read once more, in whole, as a cache of hashes
// knows only its time and size.
void check_hash(const hub::NewFile & file, Reporter & reporter) {
    const std::string now = sha256_file_hex(file.file, reporter.bar("sha256 of " + file.path));
    reporter.end_bar();
    if (now != file.sha256)
        fail("{}: is not what was measured any more (sha256 {}…, was {}…)", file.file.string(), now.substr(0, 12),
             file.sha256.substr(0, 12));
}

uint64_t upload(const hub::Api & api, const std::string & repo, const hub::NewFile & file,
                const PublishOptions & options, const fs::path & state_dir, Reporter & reporter) {
    check_hash(file, reporter);
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
    const auto commit = hub::find_commit(api, package.repo, options.revision);
    difference.exists = commit.has_value() || hub::repository_exists(api, package.repo);
    if (difference.exists && !commit) {
        fail("{}: has no revision '{}': create the branch on the Hub, or leave out --revision", package.repo,
             options.revision);
    }
    if (!difference.exists && options.create_pr)
        fail(
            "{}: is not there, or the token may not read it: a pull request needs a repository (leave out --create-pr "
            "to create it)",
            package.repo);
    if (!difference.exists && options.revision != hub::MAIN)
        fail("{}: is not there: a new repository has only the branch {} (leave out --revision)", package.repo,
             hub::MAIN);
    if (!difference.exists) {
        difference.added = package.files;
        return difference;
    }
    difference.commit = *commit;
    const std::vector<hub::RemoteFile> remote = hub::list_files(api, package.repo, *commit);
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
            hub::find_pull_request(api, package.repo, package.files, hub::pull_requests(api, package.repo));
    }
    return difference;
}

Outcome publish_package(const hub::Api & api, const Package & package, const Difference & difference,
                        const PublishOptions & options, const fs::path & state_dir, Reporter & reporter) {
    Outcome outcome;
    if (difference.is_empty()) {
        outcome.commit = {difference.commit,
                          fmt::format("{}/{}/commit/{}", api.environment().endpoint, package.repo, difference.commit),
                          options.revision, ""};
        if (difference.open_pull_request) outcome.commit = *difference.open_pull_request;
    } else {
        outcome.warnings = check_card(api, package);
        std::string parent = difference.commit;
        if (!difference.exists) {
            hub::create_repository(api, package.repo, options.is_private);
            parent = hub::find_commit(api, package.repo, options.revision).value_or("");
        } else if (!options.create_pr) {
            hub::check_write_access(api, package.repo);
        }
        outcome.commit =
            upload_and_commit(api, package, difference, parent, options, state_dir, reporter, outcome.sent_bytes);
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

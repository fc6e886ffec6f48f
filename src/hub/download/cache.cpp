#include "hub/download/cache.h"

#include "base/error.h"

#include <unistd.h>
#include <algorithm>

namespace shimmy::hub {

namespace {

// A name from the network must not lead out of the folder.
void check_name(const std::string & name) {
    const fs::path path(name);
    const bool leads_out = std::find(path.begin(), path.end(), "..") != path.end();
    if (name.empty() || path.is_absolute() || leads_out) fail("'{}': is no name of a file in a repository", name);
}

bool is_commit(const std::string & revision) {
    return revision.size() == 40 && revision.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::string folder_name(const std::string & repo) {
    std::string name = "models--" + repo;
    name.replace(name.find('/'), 1, "--");
    return name;
}

}  // namespace

RepositoryCache::RepositoryCache(const fs::path & cache_dir, const std::string & repo)
    : dir_(cache_dir / folder_name(repo)), locks_dir_(cache_dir / ".locks" / folder_name(repo)) {}

fs::path RepositoryCache::snapshot_path(const std::string & commit, const std::string & file) const {
    check_name(commit);
    check_name(file);
    return dir_ / "snapshots" / commit / file;
}

fs::path RepositoryCache::blob_path(const std::string & etag) const {
    check_name(etag);
    return dir_ / "blobs" / etag;
}

fs::path RepositoryCache::incomplete_path(const std::string & etag) const {
    return blob_path(etag + ".incomplete");
}

fs::path RepositoryCache::lock_path(const std::string & etag) const {
    return locks_dir_ / (etag + ".lock");
}

fs::path RepositoryCache::checked_path(const std::string & etag) const {
    check_name(etag);
    return locks_dir_ / (etag + ".checked");
}

void RepositoryCache::link(const std::string & commit, const std::string & file, const std::string & etag) const {
    const fs::path link = snapshot_path(commit, file);
    const fs::path target = fs::relative(blob_path(etag), link.parent_path());
    make_folders(link.parent_path());
    std::error_code ignored;
    if (fs::read_symlink(link, ignored) == target) return;  // empty if it is no link
    const fs::path fresh = link.string() + fmt::format(".{}.part", ::getpid());
    fs::remove(fresh, ignored);
    fs::create_symlink(target, fresh);
    fs::rename(fresh, link);
}

std::optional<std::string> RepositoryCache::commit_of(const std::string & revision) const {
    check_name(revision);
    if (is_commit(revision)) return revision;
    const fs::path ref = dir_ / "refs" / revision;
    if (!fs::is_regular_file(ref)) return std::nullopt;
    std::string commit = read_file(ref);
    commit.erase(std::remove_if(commit.begin(), commit.end(), [](unsigned char c) { return std::isspace(c) != 0; }),
                 commit.end());
    if (commit.empty()) return std::nullopt;
    return commit;
}

void RepositoryCache::set_commit(const std::string & revision, const std::string & commit) const {
    check_name(revision);
    if (is_commit(revision)) return;
    const fs::path ref = dir_ / "refs" / revision;
    make_folders(ref.parent_path());
    if (commit_of(revision) != commit) write_file_atomic(ref, commit);
}

std::vector<std::string> RepositoryCache::files_of(const std::string & commit) const {
    check_name(commit);
    const fs::path dir = dir_ / "snapshots" / commit;
    std::vector<std::string> files;
    if (!fs::is_directory(dir)) return files;
    for (const fs::directory_entry & entry : fs::recursive_directory_iterator(dir)) {
        if (entry.is_regular_file()) files.push_back(entry.path().lexically_relative(dir).string());
    }
    std::sort(files.begin(), files.end());
    return files;
}

}  // namespace shimmy::hub

#include "hub/upload/verification.h"

#include <algorithm>
#include <fstream>

namespace shimmy::hub {

namespace {

constexpr uint64_t RANGE_BYTES = 4096;

std::string local_range(const fs::path & file, const ByteRange & range) {
    std::ifstream stream(file, std::ios::binary);
    stream.seekg(static_cast<std::streamoff>(range.first));
    std::string bytes(range.n_bytes, '\0');
    stream.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    if (!stream) fail("{}: could not be read", file.string());
    return bytes;
}

template <typename Work>
Check checked(std::string what, const Work & work) {
    Check check{std::move(what), false, ""};
    try {
        check.reason = work();
        check.passed = check.reason.empty();
    } catch (const Interrupted &) {
        throw;
    } catch (const Error & error) {
        check.reason = error.what();
    }
    return check;
}

std::string tree_difference(const NewFile & file, const std::vector<RemoteFile> & tree) {
    const auto found =
        std::find_if(tree.begin(), tree.end(), [&](const RemoteFile & remote) { return remote.path == file.path; });
    if (found == tree.end()) return "is not in the tree";
    return is_same_content(file, *found) ? "" : "the tree has another size or hash";
}

std::string head_difference(const Api & api, const std::string & repo, const std::string & commit,
                            const NewFile & file) {
    const FileHead head = file_head(api, repo, commit, file.path);
    if (head.size_bytes != file.size_bytes) return fmt::format("HEAD says {} bytes", head.size_bytes);
    const bool same = head.etag == file.sha256 || (!file.is_large && head.etag == git_blob_oid(read_file(file.file)));
    return same ? "" : fmt::format("HEAD says the hash {}", head.etag);
}

std::string range_difference(const Api & api, const std::string & repo, const std::string & commit,
                             const NewFile & file) {
    const uint64_t first = file.size_bytes / 2;
    Request request = api.request("GET", resolve_path(repo, commit, file.path));
    request.range = ByteRange{first, std::min(RANGE_BYTES, file.size_bytes - first)};
    const Response response = send_retrying(request, "a part of " + file.path, api.note());
    if (response.status != 206) return fmt::format("HTTP {} in place of a part", response.status);
    return response.body == local_range(file.file, *request.range) ? "" : "other bytes came back";
}

}  // namespace

std::vector<Check> verify_files(const Api & api, const std::string & repo, const std::string & commit,
                                const std::vector<NewFile> & files, const std::string & card_path) {
    std::vector<Check> checks;
    const std::vector<RemoteFile> tree = list_files(api, repo, commit);
    const NewFile * largest = nullptr;
    for (const NewFile & file : files) {
        checks.push_back(
            checked(file.path + ": size and hash in the tree", [&] { return tree_difference(file, tree); }));
        checks.push_back(
            checked(file.path + ": size and hash by HEAD", [&] { return head_difference(api, repo, commit, file); }));
        if (largest == nullptr || file.size_bytes > largest->size_bytes) largest = &file;
        if (file.path != card_path) continue;
        checks.push_back(checked(file.path + ": fetched back and compared", [&]() -> std::string {
            const Response response = api.get(resolve_path(repo, commit, file.path));
            if (!response.ok()) api.fail_answer(response, file.path);
            return response.body == read_file(file.file) ? "" : "another text came back";
        }));
    }
    if (largest != nullptr && largest->size_bytes > 0) {
        checks.push_back(checked(largest->path + ": a part of it downloaded and compared",
                                 [&] { return range_difference(api, repo, commit, *largest); }));
    }
    return checks;
}

}  // namespace shimmy::hub

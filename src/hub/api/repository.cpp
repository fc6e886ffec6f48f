#include "hub/api/repository.h"

#include <set>

namespace shimmy::hub {

namespace {

constexpr size_t MAX_PAGES = 1000;  // of 1000 entries: the Hub advises 100,000 files at most
constexpr size_t MAX_FILES = 1'000'000;

std::string revision_path(const std::string & repo, const std::string & call, const std::string & revision) {
    return fmt::format("/api/models/{}/{}/{}", repo, call, encoded_name(revision));
}

// The target of `rel="next"` among `<URL>; rel="prev", <URL>; rel="next"`. Without std::regex, whose depth is the
// length of what a server sends.
std::string next_page(const Response & response) {
    const std::string link = response.header("link");
    size_t end = 0;
    for (size_t at = link.find('<'); at != std::string::npos; at = link.find('<', end)) {
        end = link.find('>', at);
        if (end == std::string::npos) break;
        std::string parameters = link.substr(end + 1, link.find('<', end) - end - 1);
        std::erase_if(parameters, [](char c) { return c == ' ' || c == '\t' || c == '"'; });
        if (parameters.starts_with(";rel=next")) return link.substr(at + 1, end - at - 1);
    }
    return "";
}

// W/"abc" and "abc": abc
std::string unquoted(std::string etag) {
    if (etag.starts_with("W/")) etag.erase(0, 2);
    if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') etag = etag.substr(1, etag.size() - 2);
    return etag;
}

RemoteFile file_of(const Json & entry) {
    RemoteFile file;
    file.path = entry.at("path");
    file.size_bytes = entry.value("size", uint64_t{0});
    file.git_oid = entry.value("oid", "");
    if (entry.contains("lfs") && entry["lfs"].is_object()) {
        const Json & lfs = entry["lfs"];
        file.sha256 = lfs.contains("oid") ? lfs["oid"] : lfs.value("sha256", Json(""));
        file.size_bytes = lfs.value("size", file.size_bytes);
    }
    return file;
}

uint64_t number_in(const std::string & text) {
    try {
        return text.empty() ? 0 : std::stoull(text);
    } catch (const std::exception &) {
        return 0;
    }
}

}  // namespace

std::optional<std::string> find_commit(const Api & api, const std::string & repo, const std::string & revision) {
    const Response response = api.get(revision_path(repo, "revision", revision));
    // To a stranger the Hub says 401 of what is not there.
    const bool hidden = response.error_code() == "RepoNotFound" || response.error_code() == "RevisionNotFound";
    if (response.status == 404 || (response.status == 401 && hidden)) return std::nullopt;
    const Json info = api.document(response, repo);
    if (!info.is_object() || !info.contains("sha") || !info["sha"].is_string())
        fail("{}: {} does not say at which commit {} is", repo, api.environment().endpoint, revision);
    return info["sha"];
}

bool repository_exists(const Api & api, const std::string & repo) {
    const Response response = api.get("/api/models/" + repo);
    if (response.status == 404 || (response.status == 401 && response.error_code() == "RepoNotFound")) return false;
    if (!response.ok()) api.fail_answer(response, repo);
    return true;
}

std::vector<RemoteFile> list_files(const Api & api, const std::string & repo, const std::string & revision) {
    std::vector<RemoteFile> files;
    std::string page = revision_path(repo, "tree", revision) + "?recursive=true&expand=false";
    std::set<std::string> seen;
    while (!page.empty()) {
        if (!seen.insert(page).second)
            fail("{}: {} sends the same page of its list of files again and again", repo, api.environment().endpoint);
        if (seen.size() > MAX_PAGES || files.size() > MAX_FILES)
            fail("{}: {} lists more files than a repository can hold", repo, api.environment().endpoint);
        const Response response = api.get(page);
        const Json entries = api.document(response, repo);
        if (!entries.is_array()) fail("{}: {} sent no list of files", repo, api.environment().endpoint);
        for (const Json & entry : entries) {
            const bool is_file = entry.is_object() && entry.value("type", "") == "file" && entry.contains("path");
            if (is_file) files.push_back(file_of(entry));
        }
        page = next_page(response);
    }
    return files;
}

Refs list_refs(const Api & api, const std::string & repo) {
    const Response response = api.get(fmt::format("/api/models/{}/refs?include_prs=1", repo));
    const Json answer = api.document(response, repo);
    const auto named = [&](const char * list, const char * name) {
        std::vector<std::string> names;
        if (!answer.is_object() || !answer.contains(list)) return names;
        for (const Json & ref : answer[list])
            names.push_back(ref.value(name, ""));
        return names;
    };
    return {named("branches", "name"), named("pullRequests", "ref")};
}

std::string resolve_path(const std::string & repo, const std::string & revision, const std::string & file) {
    return fmt::format("/{}/resolve/{}/{}", repo, encoded_name(revision), encoded_path(file));
}

FileHead file_head(const Api & api, const std::string & repo, const std::string & revision, const std::string & file) {
    const Response response = api.head(resolve_path(repo, revision, file));
    const bool redirected = response.status >= 300 && response.status < 400;
    if (!response.ok() && !redirected) api.fail_answer(response, fmt::format("{}/{}", repo, file));
    const auto first_of = [&](const char * linked, const char * own) {
        const std::string value = response.header(linked);
        return value.empty() ? response.header(own) : value;
    };
    FileHead head;
    head.etag = unquoted(first_of("x-linked-etag", "etag"));
    head.size_bytes = number_in(first_of("x-linked-size", "content-length"));
    head.commit = response.header("x-repo-commit");
    if (head.etag.empty()) fail("{}/{}: {} sent no ETag", repo, file, api.environment().endpoint);
    return head;
}

}  // namespace shimmy::hub

#include "hub/upload/changes.h"

#include "base/text/base64.h"

#include <algorithm>
#include <fstream>
#include <regex>

namespace shimmy::hub {

namespace {

constexpr size_t SAMPLE_BYTES = 512;
constexpr size_t MAX_PREUPLOAD_FILES = 100;  // the official JavaScript client's
constexpr uint64_t MAX_COMMIT_FILE_BYTES =
    10 << 20;  // of a file in a commit: the Hub takes larger ones as large files only

std::string sample_of(const fs::path & file) {
    std::ifstream stream(file, std::ios::binary);
    std::string sample(SAMPLE_BYTES, '\0');
    stream.read(sample.data(), static_cast<std::streamsize>(sample.size()));
    if (stream.bad() || !stream.is_open()) fail("{}: could not be read", file.string());
    sample.resize(static_cast<size_t>(stream.gcount()));
    return sample;
}

std::string commit_body(const CommitRequest & request) {
    Json header{{"summary", request.summary}, {"description", request.description}};
    if (!request.parent.empty()) header["parentCommit"] = request.parent;
    std::string body = json_text(Json{{"key", "header"}, {"value", header}}, -1) + "\n";
    for (const NewFile & file : request.files) {
        Json line;
        if (file.is_large) {
            line = {
                {"key", "lfsFile"},
                {"value", {{"path", file.path}, {"algo", "sha256"}, {"oid", file.sha256}, {"size", file.size_bytes}}}};
        } else {
            if (file.size_bytes > MAX_COMMIT_FILE_BYTES)
                fail("{}: {} wants its {} bytes in the commit itself", file.file.string(), request.repo,
                     file.size_bytes);
            const std::string content = read_file(file.file);
            if (sha256_hex(content) != file.sha256)
                fail("{}: was changed meanwhile: run the command again", file.file.string());
            line = {{"key", "file"},
                    {"value", {{"path", file.path}, {"encoding", "base64"}, {"content", base64(content)}}}};
        }
        body += json_text(line, -1) + "\n";
    }
    return body;
}

Commit commit_of(const Json & answer, const CommitRequest & request) {
    Commit commit;
    commit.oid = answer.value("commitOid", "");
    commit.url = answer.value("commitUrl", "");
    commit.revision = request.revision;
    if (request.create_pr) {
        commit.pull_request_url = answer.value("pullRequestUrl", "");
        commit.revision = "refs/pr/" + commit.pull_request_url.substr(commit.pull_request_url.rfind('/') + 1);
    }
    return commit;
}

// The commit that an earlier, unanswered try has made; nullopt if it has made none.
std::optional<Commit> find_own_commit(const Api & api, const CommitRequest & request,
                                      const std::vector<std::string> & earlier_pull_requests) {
    if (request.create_pr) {
        std::vector<std::string> added;
        for (const std::string & revision : list_refs(api, request.repo).pull_requests) {
            const bool known = std::find(earlier_pull_requests.begin(), earlier_pull_requests.end(), revision) !=
                               earlier_pull_requests.end();
            if (!known) added.push_back(revision);
        }
        return find_pull_request(api, request.repo, request.files, added);
    }
    const auto head = find_commit(api, request.repo, request.revision);
    if (!head || *head == request.parent) return std::nullopt;
    if (!changed_files(request.files, list_files(api, request.repo, *head)).empty()) return std::nullopt;
    return Commit{*head, fmt::format("{}/{}/commit/{}", api.environment().endpoint, request.repo, *head),
                  request.revision, ""};
}

}  // namespace

Account who_am_i(const Api & api) {
    const Response response = api.get("/api/whoami-v2");
    if (response.status == 401)
        fail("{} does not know the token: log in again (hf auth login) or set HF_TOKEN", api.environment().endpoint);
    const Json answer = api.document(response, "the token");
    Account account;
    account.name = answer.value("name", "");
    for (const Json & organization : answer.value("orgs", Json::array()))
        account.organizations.push_back(organization.value("name", ""));
    const Json::json_pointer role("/auth/accessToken/role");
    if (answer.contains(role) && answer.at(role).is_string()) account.role = answer.at(role);
    return account;
}

void check_write_access(const Api & api, const std::string & repo) {
    const Response response = api.get(fmt::format("/api/models/{}/auth-check/write", repo));
    if (!response.ok()) api.fail_answer(response, "writing to " + repo);
}

void create_repository(const Api & api, const std::string & repo, bool is_private) {
    const size_t slash = repo.find('/');
    const Json body{{"name", repo.substr(slash + 1)},
                    {"organization", repo.substr(0, slash)},
                    {"type", "model"},
                    {"visibility", is_private ? "private" : "public"}};
    Backoff backoff("creating " + repo, api.note());
    while (true) {
        const Response response = api.post_json("/api/repos/create", body);
        if (response.ok()) return;
        if (response.status != 409) api.fail_answer(response, "creating " + repo);
        // 409 says that it exists, except for this:
        if (server_message(response).find("another conflicting operation") == std::string::npos) return;
        Response busy = response;
        busy.status = 503;
        if (!backoff.again(busy)) api.fail_answer(response, "creating " + repo);
    }
}

// The rules of `man git-check-ref-format`.
void check_branch_name(const std::string & branch, const std::string & what) {
    static const std::regex unfit(R"(^refs/|^[-/.]|[/.]$|//|/\.|\.\.|@\{|^@$|\.lock(/|$)|[\x00-\x20~^:?*\[\\\x7f])");
    if (branch.empty() || std::regex_search(branch, unfit)) fail_usage("{}: '{}' is no name of a branch", what, branch);
}

void create_branch(const Api & api, const std::string & repo, const std::string & branch) {
    const Response response =
        api.post_json(fmt::format("/api/models/{}/branch/{}", repo, encoded_name(branch)), Json::object());
    const bool exists = response.status == 409;
    if (!response.ok() && !exists) api.fail_answer(response, fmt::format("{}: creating the branch {}", repo, branch));
}

CardCheck check_card(const Api & api, const std::string & card) {
    const Response response = api.post_json("/api/validate-yaml", {{"content", card}, {"repoType", "model"}});
    const Json answer = parse_json(response.body);
    CardCheck check;
    const auto messages = [&](const char * key) {
        std::vector<std::string> texts;
        if (!answer.is_object() || !answer.contains(key)) return texts;
        for (const Json & entry : answer[key])
            texts.push_back(entry.is_object() ? entry.value("message", "") : json_text(entry, -1));
        return texts;
    };
    check.errors = messages("errors");
    check.warnings = messages("warnings");
    if (!response.ok() && check.errors.empty()) api.fail_answer(response, "checking the model card");
    return check;
}

void choose_storage(const Api & api, const std::string & repo, const std::string & revision, bool create_pr,
                    std::vector<NewFile> & files) {
    const std::string path =
        fmt::format("/api/models/{}/preupload/{}{}", repo, encoded_name(revision), create_pr ? "?create_pr=1" : "");
    for (size_t first = 0; first < files.size(); first += MAX_PREUPLOAD_FILES) {
        const size_t end = std::min(files.size(), first + MAX_PREUPLOAD_FILES);
        Json asked = Json::array();
        for (size_t i = first; i < end; ++i)
            asked.push_back(
                {{"path", files[i].path}, {"size", files[i].size_bytes}, {"sample", base64(sample_of(files[i].file))}});
        const Json answer = api.document(api.post_json(path, {{"files", asked}}), "preparing the upload to " + repo);
        const Json modes = answer.value("files", Json::array());
        for (size_t i = first; i < end; ++i) {
            NewFile & file = files[i];
            const auto mode = std::find_if(modes.begin(), modes.end(),
                                           [&](const Json & entry) { return entry.value("path", "") == file.path; });
            if (mode == modes.end())
                fail("{}: {} did not say how it takes {}", repo, api.environment().endpoint, file.path);
            if (mode->value("shouldIgnore", false))
                fail("{}: the .gitignore of {} leaves it out: change that file on the Hub", file.path, repo);
            // An empty file has no content to store apart.
            file.is_large = mode->value("uploadMode", "") == "lfs" && file.size_bytes > 0;
        }
    }
}

bool is_same_content(const NewFile & file, const RemoteFile & remote) {
    if (remote.path != file.path || remote.size_bytes != file.size_bytes) return false;
    if (remote.is_large()) return remote.sha256 == file.sha256;
    return remote.git_oid == git_blob_oid(read_file(file.file));
}

std::vector<NewFile> changed_files(const std::vector<NewFile> & files, const std::vector<RemoteFile> & remote) {
    std::vector<NewFile> changed;
    for (const NewFile & file : files) {
        const bool same = std::any_of(remote.begin(), remote.end(),
                                      [&](const RemoteFile & other) { return is_same_content(file, other); });
        if (!same) changed.push_back(file);
    }
    return changed;
}

std::optional<Commit> find_pull_request(const Api & api, const std::string & repo, const std::vector<NewFile> & files,
                                        const std::vector<std::string> & among) {
    for (const std::string & revision : among) {
        const auto head = find_commit(api, repo, revision);
        if (!head || !changed_files(files, list_files(api, repo, revision)).empty()) continue;
        const std::string url = fmt::format("{}/{}", api.environment().endpoint, repo);
        return Commit{*head, fmt::format("{}/commit/{}", url, *head), revision,
                      fmt::format("{}/discussions/{}", url, revision.substr(revision.rfind('/') + 1))};
    }
    return std::nullopt;
}

Commit commit_files(const Api & api, const CommitRequest & request) {
    const std::string what = "committing to " + request.repo;
    const auto earlier = request.create_pr ? list_refs(api, request.repo).pull_requests : std::vector<std::string>();
    Request post =
        api.request("POST", fmt::format("/api/models/{}/commit/{}{}", request.repo, encoded_name(request.revision),
                                        request.create_pr ? "?create_pr=1" : ""));
    post.body = commit_body(request);
    post.headers = {"Content-Type: application/x-ndjson"};
    post.only_once = true;
    Backoff backoff(what, api.note());
    while (true) {
        try {
            const Response response = send(post);
            if (response.ok()) return commit_of(api.document(response, what), request);
            if (!backoff.again(response)) {
                // Refused because it was made: an earlier try got through after all.
                if (const auto made = find_own_commit(api, request, earlier)) return *made;
                if (response.status == 412)
                    fail("{}: someone else has changed {} meanwhile: run the command again", request.repo,
                         request.revision);
                api.fail_answer(response, what);
            }
        } catch (const TransportError & error) {
            if (!backoff.again(error)) throw;
        }
        if (const auto made = find_own_commit(api, request, earlier)) return *made;
    }
}

}  // namespace shimmy::hub

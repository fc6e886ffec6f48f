#include "hub/api/api.h"

#include <regex>

namespace shimmy::hub {

namespace {

constexpr size_t MAX_REPO_NAME = 96;
constexpr std::chrono::seconds PATIENCE{120};  // a commit may take the Hub a minute

// A server that echoes what it was sent must not make us print the token.
std::string without_token(std::string text, const std::string & token) {
    for (size_t at = 0; !token.empty() && (at = text.find(token, at)) != std::string::npos;)
        text.replace(at, token.size(), "***");
    return text;
}

}  // namespace

void check_repo_id(const std::string & repo, const std::string & what) {
    static const std::regex form(R"([A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*)");
    const bool whole = std::regex_match(repo, form);
    if (!whole) fail_usage("{}: '{}' is not of the form USER/NAME", what, repo);
    const std::string name = repo.substr(repo.find('/') + 1);
    if (name.size() > MAX_REPO_NAME)
        fail_usage("{}: the name '{}' is longer than the Hub's {} letters", what, name, MAX_REPO_NAME);
    for (const char * forbidden : {"--", ".."}) {
        if (repo.find(forbidden) != std::string::npos)
            fail_usage("{}: the Hub takes no '{}' in '{}'", what, forbidden, repo);
    }
    if (repo.ends_with(".git") || repo.ends_with('-') || repo.ends_with('.'))
        fail_usage("{}: the Hub takes no name that ends in '.git', '-' or '.': '{}'", what, repo);
}

Api::Api(Environment environment, Note note, int max_waits)
    : environment_(std::move(environment)), note_(std::move(note)), max_waits_(max_waits) {
    if (environment_.offline) fail("HF_HUB_OFFLINE is set: unset it to reach {}", environment_.endpoint);
}

Request Api::request(const std::string & method, const std::string & path) const {
    Request request;
    request.method = method;
    request.url = path.starts_with('/') ? environment_.endpoint + path : path;
    if (request.url.starts_with(environment_.endpoint + "/")) request.token = environment_.token;
    request.patience = PATIENCE;
    return request;
}

Response Api::get(const std::string & path) const {
    const Request asked = request("GET", path);
    return send_retrying(asked, display_url(asked.url), note_, max_waits_);
}

Response Api::head(const std::string & path) const {
    Request asked = request("HEAD", path);
    asked.redirects = Redirects::within_host;
    asked.headers = {"Accept-Encoding: identity"};
    return send_retrying(asked, display_url(asked.url), note_, max_waits_);
}

Response Api::post(const std::string & path, const std::string & body, const std::string & content_type) const {
    Request asked = request("POST", path);
    asked.body = body;
    asked.headers = {"Content-Type: " + content_type};
    if (content_type == LFS_JSON_TYPE) asked.headers.push_back(std::string("Accept: ") + LFS_JSON_TYPE);
    return send_retrying(asked, display_url(asked.url), note_, max_waits_);
}

Response Api::post_json(const std::string & path, const Json & body) const {
    return post(path, json_text(body, -1), "application/json");
}

std::string server_message(const Response & response) {
    const std::string header = response.header("x-error-message");
    if (!header.empty()) return header;
    const Json body = parse_json(response.body);
    if (!body.is_object()) return "";
    for (const char * key : {"error", "message"}) {
        if (const Json said = body.value(key, Json()); said.is_string()) return said;
    }
    return "";
}

void Api::fail_answer(const Response & response, const std::string & what) const {
    const std::string said = without_token(server_message(response), environment_.token);
    const std::string reason = said.empty() ? "" : fmt::format(" ({})", said);
    const bool no_access = response.status == 401 || response.status == 403 || response.error_code() == "GatedRepo";
    if (no_access) {
        fail("{}: no access (HTTP {}){}: {}", what, response.status, reason,
             environment_.token.empty() ? "set HF_TOKEN if the repository is private or gated, and check the name"
                                        : "the token in HF_TOKEN may not do this");
    }
    if (response.status == 404) fail("{}: not found on {}{}", what, environment_.endpoint, reason);
    if (response.status == 429)
        fail("{}: {} limits how often it may be asked{}: try again later", what, environment_.endpoint, reason);
    fail("{}: {} answered HTTP {}{}", what, environment_.endpoint, response.status, reason);
}

Json Api::document(const Response & response, const std::string & what) const {
    if (!response.ok()) fail_answer(response, what);
    Json json = parse_json(response.body);
    if (json.is_discarded()) fail("{}: {} sent something that is not JSON", what, environment_.endpoint);
    return json;
}

}  // namespace shimmy::hub

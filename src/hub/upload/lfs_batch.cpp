#include "hub/upload/lfs_batch.h"

#include <algorithm>
#include <map>
#include <string_view>

namespace shimmy::hub {

namespace {

bool is_number(const std::string & text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
}

// chunk_size, "00001": URL, "00002": URL, …
void read_parts(const Json & header, const std::string & what, uint64_t size_bytes, UploadActions & actions) {
    const Json & chunk = header["chunk_size"];
    const std::string chunk_text = chunk.is_string() ? chunk.get<std::string>() : json_text(chunk, -1);
    if (!is_number(chunk_text) || std::stoull(chunk_text) == 0)
        fail("{}: the Hub sent the part size '{}'", what, chunk_text);
    actions.chunk_bytes = std::stoull(chunk_text);
    std::map<uint64_t, std::string> parts;
    for (const auto & [key, url] : header.items()) {
        if (is_number(key) && url.is_string()) parts[std::stoull(key)] = url;
    }
    const uint64_t n_parts = (size_bytes + actions.chunk_bytes - 1) / actions.chunk_bytes;
    if (parts.size() != n_parts || parts.begin()->first != 1 || parts.rbegin()->first != n_parts)
        fail("{}: the Hub sent {} addresses for {} parts", what, parts.size(), n_parts);
    for (const auto & [number, url] : parts)
        actions.part_hrefs.push_back(url);
}

// What stays of a part's URL when it is signed anew; empty if that cannot be told.
std::string upload_identity(const std::string & url) {
    constexpr std::string_view KEY = "uploadId=";
    const size_t at = url.find(KEY);
    const bool is_parameter = at != std::string::npos && at > 0 && (url[at - 1] == '?' || url[at - 1] == '&');
    if (!is_parameter) return "";
    const size_t begin = at + KEY.size();
    const std::string id = url.substr(begin, url.find('&', begin) - begin);
    return id.empty() ? "" : display_url(url) + " " + id;
}

}  // namespace

UploadActions request_upload(const Api & api, const LfsTarget & target, const std::string & sha256,
                             uint64_t size_bytes) {
    const std::string what = fmt::format("{}: object {}…", target.repo, sha256.substr(0, 12));
    // "xet" is not offered: a transfer that is not offered is not chosen.
    Json body{{"operation", "upload"}, {"transfers", {"basic", "multipart"}}, {"hash_algo", "sha256"}};
    if (!target.ref.empty()) body["ref"] = {{"name", target.ref}};
    body["objects"] = Json::array({{{"oid", sha256}, {"size", size_bytes}}});
    const Response response =
        api.post(fmt::format("/{}.git/info/lfs/objects/batch", target.repo), json_text(body, -1), LFS_JSON_TYPE);
    const Json answer = api.document(response, what);
    const Json::json_pointer first("/objects/0");
    if (!answer.is_object() || !answer.contains(first) || answer.at(first).value("oid", "") != sha256)
        fail("{}: the Hub did not answer the batch call for it", what);
    const Json & object = answer.at(first);
    if (object.contains("error")) {
        const Json & error = object["error"];
        fail("{}: the Hub refuses it: {} ({})", what, error.value("message", "no reason given"),
             error.value("code", 0));
    }
    UploadActions actions;
    const Json::json_pointer upload_pointer("/actions/upload");
    if (!object.contains(upload_pointer)) {
        actions.stored = true;
        return actions;
    }
    const Json & upload = object.at(upload_pointer);
    actions.href = upload.value("href", "");
    if (actions.href.empty()) fail("{}: the Hub sent no address for it", what);
    if (upload.contains("header") && upload["header"].contains("chunk_size"))
        read_parts(upload["header"], what, size_bytes, actions);
    const Json::json_pointer verify("/actions/verify/href");
    if (object.contains(verify)) actions.verify_href = object.at(verify);
    return actions;
}

void confirm_upload(const Api & api, const std::string & verify_href, const std::string & sha256, uint64_t size_bytes) {
    if (verify_href.empty()) return;
    const Json body{{"oid", sha256}, {"size", size_bytes}};
    const Response response = api.post(verify_href, json_text(body, -1), LFS_JSON_TYPE);
    if (!response.ok()) api.fail_answer(response, fmt::format("object {}… after its upload", sha256.substr(0, 12)));
}

bool is_same_upload(const UploadActions & a, const UploadActions & b) {
    if (a.chunk_bytes != b.chunk_bytes || a.part_hrefs.size() != b.part_hrefs.size() || a.part_hrefs.empty())
        return false;
    const std::string identity = upload_identity(a.part_hrefs.front());
    return !identity.empty() && identity == upload_identity(b.part_hrefs.front());
}

}  // namespace shimmy::hub

// libFuzzer entry: what a Hub may answer. Records end with the byte 0x1e; the first byte of one says its status, its
// first line is a header that decides something, the rest the body. Nothing but an Error may come of it, no name may
// lead out of the cache, and every loop ends.
#include "hub/api/model_files.h"
#include "hub/api/repository.h"
#include "hub/download/cache.h"

#include "complain.h"

#include <array>
#include <cstdint>
#include <deque>

namespace {

std::deque<shimmy::http::Response> answers;  // the last one stays

shimmy::http::Response answer_of(const std::string & record) {
    constexpr std::array<long, 8> STATUS{200, 200, 200, 200, 206, 302, 401, 404};
    constexpr std::array<const char *, 4> HEADERS{"link", "etag", "x-linked-size", "x-error-message"};
    shimmy::http::Response response;
    if (record.empty()) return response;
    const auto choice = static_cast<unsigned char>(record[0]);
    response.status = STATUS[choice % STATUS.size()];
    const size_t line_end = std::min(record.find('\n'), record.size());
    response.headers[HEADERS[choice / STATUS.size() % HEADERS.size()]] = record.substr(1, line_end - 1);
    response.headers["x-repo-commit"] = std::string(40, 'c');
    if (line_end < record.size()) response.body = record.substr(line_end + 1);
    return response;
}

template <typename Ask>
void try_to(const Ask & ask) {
    try {
        shimmy::hub::checking_answers(ask);
    } catch (const shimmy::Error &) {
    }
}

// Everything that is made of names which a list holds.
void use(const std::vector<shimmy::hub::RemoteFile> & files) {
    const shimmy::hub::RepositoryCache cache("/cache", "u/m");
    std::vector<std::string> paths;
    for (const shimmy::hub::RemoteFile & file : files) {
        paths.push_back(file.path);
        try_to([&] {
            for (const auto & path :
                 {cache.snapshot_path(std::string(40, 'c'), file.path), cache.blob_path(file.etag())}) {
                if (!path.lexically_normal().string().starts_with("/cache/models--u--m/"))
                    shimmy::fuzz::complain("leads out of the cache", path.string());
            }
        });
    }
    const std::vector<std::string> models = shimmy::hub::models_among(paths);
    for (const char * quantization : {"", "Q4_K_M", "m.gguf"}) {
        try_to([&] { (void)shimmy::hub::parts_of(shimmy::hub::choose_exact_model(models, quantization, "u/m")); });
        try_to([&] { (void)shimmy::hub::choose_model(models, quantization, "u/m"); });
    }
}

}  // namespace

// In place of shimmy::http::send().
shimmy::http::Response answer_to(const shimmy::http::Request & request) asm(
    "__wrap__ZN6shimmy4http4sendERKNS0_7RequestE");
shimmy::http::Response answer_to(const shimmy::http::Request & request) {
    shimmy::http::Response response = answers.empty() ? shimmy::http::Response() : answers.front();
    if (answers.size() > 1) answers.pop_front();
    response.url = request.url;
    return response;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t * data, size_t n_bytes) {
    const std::string text(reinterpret_cast<const char *>(data), n_bytes);
    answers.clear();
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find('\x1e', at), text.size());
        answers.push_back(answer_of(text.substr(at, end - at)));
        at = end + 1;
    }
    shimmy::hub::Environment environment;
    environment.endpoint = "http://hub";
    const shimmy::hub::Api api(environment, {}, /*max_waits=*/0);
    try_to([&] { (void)shimmy::hub::find_commit(api, "u/m", "main"); });
    try_to([&] { use(shimmy::hub::list_files(api, "u/m", "main")); });
    try_to([&] { (void)shimmy::hub::list_refs(api, "u/m"); });
    try_to([&] { (void)shimmy::hub::file_head(api, "u/m", "main", "m.gguf"); });
    return 0;
}

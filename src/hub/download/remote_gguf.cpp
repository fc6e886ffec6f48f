#include "hub/download/remote_gguf.h"

#include "base/text/units.h"
#include "gguf/parse.h"
#include "hub/api/model_files.h"

#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>

namespace shimmy::hub {

namespace {

// The vocabulary makes a header some MiB large: most are whole after two requests.
constexpr uint64_t FIRST_FETCH_BYTES = 2 * MIB;
constexpr uint64_t MAX_HEADER_BYTES = 512 * MIB;

}  // namespace

std::vector<std::string> list_models(const Api & api, const std::string & repo, const std::string & revision) {
    std::vector<std::string> paths;
    for (const RemoteFile & file : list_files(api, repo, revision))
        paths.push_back(file.path);
    std::vector<std::string> models = models_among(paths);
    if (models.empty()) fail("{}: holds no GGUF model", repo);
    return models;
}

RemoteGguf::RemoteGguf(const Api & api, const std::string & repo, const std::string & file,
                       const std::string & revision) {
    std::string dir = (temporary_dir() / "shimmy-header-XXXXXX").string();
    if (::mkdtemp(dir.data()) == nullptr) fail("{}: {}", dir, std::strerror(errno));
    dir_ = dir;
    first_ = dir_ / fs::path(file).filename();
    try {
        for (const std::string & part : parts_of(file))
            fetch(api, resolve_path(repo, revision, part), dir_ / fs::path(part).filename());
    } catch (...) {
        std::error_code ignored;
        fs::remove_all(dir_, ignored);
        throw;
    }
}

RemoteGguf::~RemoteGguf() {
    std::error_code ignored;
    fs::remove_all(dir_, ignored);
}

void RemoteGguf::fetch(const Api & api, const std::string & resolve_path, const fs::path & target) {
    const std::string url = api.environment().endpoint + resolve_path;
    std::string start;
    uint64_t file_bytes = 0;
    uint64_t wanted = FIRST_FETCH_BYTES;
    while (true) {
        Request request = api.request("GET", resolve_path);
        request.range = ByteRange{start.size(), wanted - start.size()};
        const Response response = send_retrying(request, url, api.note());
        if (response.status != 206 && response.status != 200) api.fail_answer(response, url);
        // A small file is sent whole.
        const uint64_t total_bytes = response.status == 200 ? response.body.size() : response.total_bytes();
        if (response.body.empty() || total_bytes == 0) fail("{}: the server sent an empty range", url);
        start += response.body;
        fetched_bytes_ += response.body.size();
        file_bytes = total_bytes;
        const uint64_t missing =
            gguf::header_bytes_missing(std::as_bytes(std::span(start.data(), start.size())), file_bytes, url);
        if (missing == 0) break;
        wanted = std::min(file_bytes, std::max<uint64_t>(missing, 2 * start.size()));
        if (wanted <= start.size() || wanted > MAX_HEADER_BYTES) fail("{}: has no usable header", url);
    }
    write_file_atomic(target, start);
    std::error_code error;
    fs::resize_file(target, file_bytes, error);
    if (error)
        fail("{}: {}: set TMPDIR to a folder on a file system with sparse files", target.string(), error.message());
}

}  // namespace shimmy::hub

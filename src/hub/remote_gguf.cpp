#include "hub/remote_gguf.h"

#include "base/error.h"
#include "base/json.h"
#include "base/units.h"
#include "gguf/parse.h"
#include "hub/http.h"

#include <unistd.h>
#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <regex>
#include <span>

namespace shimmy::hub {

namespace {

// The vocabulary makes a header some MiB large: most are whole after two requests.
constexpr uint64_t FIRST_FETCH_BYTES = 2 * MIB;
constexpr uint64_t MAX_HEADER_BYTES = 512 * MIB;

std::string upper(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::toupper(c); });
    return text;
}

void check_repo(const std::string & repo) {
    static const std::regex form(R"([A-Za-z0-9._-]+/[A-Za-z0-9._-]+)");
    if (!std::regex_match(repo, form) || repo.find("..") != std::string::npos)
        fail_usage("--repo: '{}' is not of the form USER/NAME", repo);
}

std::string encoded(const std::string & path) {
    std::string out;
    for (const char c : path) {
        const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || std::strchr("-._~/", c) != nullptr;
        out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

[[noreturn]] void fail_status(const Response & response, const std::string & what, const Environment & environment) {
    const bool no_access = response.status == 401 || response.status == 403 || response.error_code == "GatedRepo";
    if (no_access) {
        fail("{}: no access (HTTP {}): {}", what, response.status,
             environment.token.empty() ? "set HF_TOKEN if the repository is private or gated, and check the name"
                                       : "the token in HF_TOKEN may not read it");
    }
    if (response.status == 404) fail("{}: not found on {}", what, environment.endpoint);
    fail("{}: {} answered HTTP {}", what, environment.endpoint, response.status);
}

bool is_first_part(const std::string & name) {
    static const std::regex part(R"(-(\d{5})-of-\d{5}\.gguf$)", std::regex::icase);
    std::smatch match;
    return !std::regex_search(name, match, part) || match[1] == "00001";
}

bool is_language_model(const std::string & path) {
    const std::string name = upper(fs::path(path).filename().string());
    return name.ends_with(".GGUF") && name.find("MMPROJ") == std::string::npos &&
           name.find("IMATRIX") == std::string::npos && is_first_part(path);
}

// "Model-UD-Q4_K_M.gguf" holds Q4_K_M; "Model-Q4_K_M.gguf" does not hold Q4_K.
bool names_quantization(const std::string & file, const std::string & quantization) {
    const std::string name = upper(file);
    const std::string wanted = upper(quantization);
    for (size_t at = name.find(wanted); at != std::string::npos; at = name.find(wanted, at + 1)) {
        const char before = at == 0 ? '-' : name[at - 1];
        const size_t end = at + wanted.size();
        const char after = end < name.size() ? name[end] : '-';
        const auto separates = [](char c) { return c == '-' || c == '.' || c == '/'; };
        if (separates(before) && separates(after)) return true;
    }
    return false;
}

}  // namespace

std::vector<std::string> list_models(const Environment & environment, const std::string & repo) {
    check_repo(repo);
    if (environment.offline) fail("--repo {}: HF_HUB_OFFLINE is set", repo);
    const Response response =
        get({fmt::format("{}/api/models/{}/tree/main?recursive=true&expand=false", environment.endpoint, repo),
             environment.token,
             {}});
    if (response.status != 200) fail_status(response, repo, environment);
    const Json entries = Json::parse(response.body, nullptr, /*allow_exceptions=*/false);
    std::vector<std::string> files;
    if (!entries.is_array()) fail("{}: {} sent no list of files", repo, environment.endpoint);
    for (const Json & entry : entries) {
        const bool is_file = entry.is_object() && entry.value("type", "") == "file" && entry.contains("path");
        if (is_file && is_language_model(entry["path"])) files.push_back(entry["path"]);
    }
    if (files.empty()) fail("{}: holds no GGUF model", repo);
    return files;
}

std::string choose_model(const std::vector<std::string> & files, const std::string & quantization,
                         const std::string & repo) {
    std::vector<std::string> wanted{quantization};
    if (upper(quantization) == "MXFP4_MOE") wanted.emplace_back("MXFP4");
    wanted.insert(wanted.end(), {"F16", "BF16", "F32"});
    for (const std::string & type : wanted) {
        for (const std::string & file : files) {
            if (!type.empty() && names_quantization(file, type)) return file;
        }
    }
    if (files.size() == 1) return files.front();
    fail("{}: no file holds {} or could be quantized to it; there is: {}", repo,
         quantization.empty() ? "F16" : quantization, fmt::join(files, ", "));
}

RemoteGguf::RemoteGguf(const Environment & environment, const std::string & repo, const std::string & file) {
    std::string dir = (fs::temp_directory_path() / "shimmy-header-XXXXXX").string();
    if (::mkdtemp(dir.data()) == nullptr) fail("{}: {}", dir, std::strerror(errno));
    dir_ = dir;
    first_ = dir_ / fs::path(file).filename();
    try {
        static const std::regex part(R"(-00001-of-(\d{5})\.gguf$)");
        std::smatch match;
        const int n_parts = std::regex_search(file, match, part) ? std::stoi(match[1]) : 1;
        for (int i = 1; i <= n_parts; ++i) {
            std::string name = file;
            if (n_parts > 1) name = match.prefix().str() + fmt::format("-{:05}-of-{:05}.gguf", i, n_parts);
            fetch(environment, fmt::format("{}/{}/resolve/main/{}", environment.endpoint, repo, encoded(name)),
                  dir_ / fs::path(name).filename());
        }
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

void RemoteGguf::fetch(const Environment & environment, const std::string & url, const fs::path & target) {
    std::string start;
    uint64_t file_bytes = 0;
    uint64_t wanted = FIRST_FETCH_BYTES;
    while (true) {
        Response response = get({url, environment.token, ByteRange{start.size(), wanted - start.size()}});
        if (response.status != 206 && response.status != 200) fail_status(response, url, environment);
        if (response.status == 200) response.total_bytes = response.body.size();  // a small file sent whole
        if (response.body.empty() || response.total_bytes == 0) fail("{}: the server sent an empty range", url);
        start += response.body;
        fetched_bytes_ += response.body.size();
        file_bytes = response.total_bytes;
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

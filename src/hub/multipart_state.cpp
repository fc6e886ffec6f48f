#include "hub/multipart_state.h"

#include <algorithm>
#include <fstream>
#include <sstream>

namespace shimmy::hub {

namespace {

void write_private(const fs::path & file, const std::string & content) {
    // The permissions are there before the content is.
    { std::ofstream(file, std::ios::app); }
    fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
    std::ofstream stream(file, std::ios::binary | std::ios::trunc);
    stream << content;
    stream.flush();
    if (!stream) fail("{}: could not be written", file.string());
}

}  // namespace

MultipartState::MultipartState(const fs::path & dir, std::string key, const std::string & sha256, uint64_t size_bytes)
    : head_file_(dir / (sha256 + ".json")),
      etags_file_(dir / (sha256 + ".parts")),
      key_(std::move(key)),
      size_bytes_(size_bytes) {
    ensure_writable_dir(dir);
    load();
}

void MultipartState::load() {
    if (!fs::exists(head_file_)) return;
    const Json head = Json::parse(read_file(head_file_), nullptr, /*allow_exceptions=*/false);
    try {
        if (head.at("key") != key_ || head.at("size_bytes") != size_bytes_) return;
        UploadActions actions;
        actions.href = head.at("complete");
        actions.chunk_bytes = head.at("chunk_bytes");
        actions.part_hrefs = head.at("parts").get<std::vector<std::string>>();
        actions.verify_href = head.at("verify");
        actions_ = std::move(actions);
    } catch (const Json::exception &) {
        return;  // cut off by a kill: as if nothing was begun
    }
    etags_.assign(actions_.part_hrefs.size(), "");
    if (!fs::exists(etags_file_)) return;
    std::istringstream lines(read_file(etags_file_));
    for (std::string line; std::getline(lines, line) && !lines.eof();) {  // a last line without its end does not count
        const size_t space = line.find(' ');
        const size_t part = std::strtoull(line.c_str(), nullptr, 10);
        if (space != std::string::npos && part < etags_.size()) etags_[part] = line.substr(space + 1);
    }
}

void MultipartState::write_head() const {
    const Json head{{"key", key_},
                    {"size_bytes", size_bytes_},
                    {"chunk_bytes", actions_.chunk_bytes},
                    {"complete", actions_.href},
                    {"verify", actions_.verify_href},
                    {"parts", actions_.part_hrefs}};
    write_private(head_file_, head.dump());
}

void MultipartState::start(const UploadActions & actions) {
    remove();  // first: parts of another upload must not be taken for parts of this one
    actions_ = actions;
    etags_.assign(actions_.part_hrefs.size(), "");
    write_private(etags_file_, "");
    write_head();
}

void MultipartState::renew(const UploadActions & actions) {
    actions_ = actions;
    write_head();
}

void MultipartState::add(size_t part, const std::string & etag) {
    etags_.at(part) = etag;
    std::ofstream stream(etags_file_, std::ios::binary | std::ios::app);
    stream << fmt::format("{} {}\n", part, etag) << std::flush;
    if (!stream) fail("{}: could not be written", etags_file_.string());
}

void MultipartState::remove() {
    std::error_code ignored;
    fs::remove(head_file_, ignored);
    fs::remove(etags_file_, ignored);
    actions_ = {};
    etags_.clear();
}

size_t MultipartState::n_done() const {
    return static_cast<size_t>(
        std::count_if(etags_.begin(), etags_.end(), [](const std::string & etag) { return !etag.empty(); }));
}

}  // namespace shimmy::hub

#include "hub/upload/multipart_state.h"

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
      parts_file_(dir / (sha256 + ".parts")),
      key_(std::move(key)),
      size_bytes_(size_bytes) {
    ensure_writable_dir(dir);
    load();
}

void MultipartState::load() {
    if (!fs::exists(head_file_)) return;
    const Json head = read_json(head_file_);
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
    parts_.assign(actions_.part_hrefs.size(), {});
    if (!fs::exists(parts_file_)) return;
    const std::string content = read_file(parts_file_);
    const size_t whole_bytes = content.rfind('\n') + 1;  // a last line that was cut off does not count
    fs::resize_file(parts_file_, whole_bytes);           // nor does the next one go on with it
    std::istringstream lines(content.substr(0, whole_bytes));
    for (std::string line; std::getline(lines, line);) {
        std::istringstream fields(line);
        size_t part = 0;
        SentPart sent;
        if (!(fields >> part) || part >= parts_.size()) continue;
        const bool whole = fields >> sent.sha256 && std::getline(fields >> std::ws, sent.etag);
        parts_[part] = whole ? sent : SentPart();
    }
}

void MultipartState::write_head() const {
    const Json head{{"key", key_},
                    {"size_bytes", size_bytes_},
                    {"chunk_bytes", actions_.chunk_bytes},
                    {"complete", actions_.href},
                    {"verify", actions_.verify_href},
                    {"parts", actions_.part_hrefs}};
    write_private(head_file_, json_text(head, -1));
}

void MultipartState::start(const UploadActions & actions) {
    remove();  // first: parts of another upload must not be taken for parts of this one
    actions_ = actions;
    parts_.assign(actions_.part_hrefs.size(), {});
    write_private(parts_file_, "");
    write_head();
}

void MultipartState::renew(const UploadActions & actions) {
    actions_ = actions;
    write_head();
}

void MultipartState::set(size_t part, const SentPart & sent) {
    parts_.at(part) = sent;
    std::ofstream stream(parts_file_, std::ios::binary | std::ios::app);
    stream << fmt::format("{} {} {}\n", part, sent.sha256, sent.etag) << std::flush;
    if (!stream) fail("{}: could not be written", parts_file_.string());
}

void MultipartState::remove() {
    std::error_code ignored;
    fs::remove(head_file_, ignored);
    fs::remove(parts_file_, ignored);
    actions_ = {};
    parts_.clear();
}

size_t MultipartState::n_done() const {
    return static_cast<size_t>(
        std::count_if(parts_.begin(), parts_.end(), [](const SentPart & part) { return !part.etag.empty(); }));
}

}  // namespace shimmy::hub

#include "base/http/sse.h"

namespace shimmy {

namespace {

SseLine line_of(std::string_view text) {
    constexpr std::string_view DATA = "data:";
    if (text.empty()) return {SseLine::Kind::end_of_event, text};
    if (text.starts_with(':')) return {SseLine::Kind::comment, text};
    if (!text.starts_with(DATA)) return {SseLine::Kind::other, text};
    text.remove_prefix(DATA.size());
    if (text.starts_with(' ')) text.remove_prefix(1);
    return {SseLine::Kind::data, text};
}

}  // namespace

void SseLines::feed(std::string_view bytes, const std::function<void(const SseLine & line)> & on_line) {
    unread_ += bytes;
    size_t start = 0;
    for (size_t end = 0; (end = unread_.find('\n', start)) != std::string::npos; start = end + 1) {
        std::string_view text = std::string_view(unread_).substr(start, end - start);
        if (text.ends_with('\r')) text.remove_suffix(1);
        on_line(line_of(text));
    }
    unread_.erase(0, start);
}

std::vector<std::string> SseReader::feed(std::string_view bytes) {
    std::vector<std::string> events;
    lines_.feed(bytes, [&](const SseLine & line) {
        if (line.kind == SseLine::Kind::data) {
            if (any_) data_ += '\n';
            data_ += line.text;
            any_ = true;
        } else if (line.kind == SseLine::Kind::end_of_event) {
            if (!data_.empty()) events.push_back(std::move(data_));
            data_.clear();
            any_ = false;
        }
    });
    return events;
}

}  // namespace shimmy

#include "serve/api/sse.h"

namespace shimmy::serve {

namespace {

// The data lines of an event, joined by line ends.
std::string data_of(std::string_view event) {
    constexpr std::string_view FIELD = "data:";
    std::string data;
    bool any = false;
    while (!event.empty()) {
        const size_t end = std::min(event.find('\n'), event.size());
        std::string_view line = event.substr(0, end);
        event.remove_prefix(std::min(end + 1, event.size()));
        if (!line.starts_with(FIELD)) continue;
        line.remove_prefix(FIELD.size());
        if (line.starts_with(' ')) line.remove_prefix(1);
        if (any) data += '\n';
        data += line;
        any = true;
    }
    return data;
}

}  // namespace

std::vector<std::string> SseReader::feed(std::string_view bytes) {
    unread_ += bytes;
    std::vector<std::string> events;
    size_t start = 0;
    for (size_t end = 0; (end = unread_.find("\n\n", start)) != std::string::npos; start = end + 2) {
        std::string data = data_of(std::string_view(unread_).substr(start, end - start));
        if (!data.empty()) events.push_back(std::move(data));
    }
    unread_.erase(0, start);
    return events;
}

}  // namespace shimmy::serve

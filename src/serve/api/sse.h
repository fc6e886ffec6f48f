// Server-sent events as they come in parts.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace shimmy::serve {

class SseReader {
public:
    // The data of every event that is whole now. Comments say nothing.
    std::vector<std::string> feed(std::string_view bytes);

private:
    std::string unread_;
};

}  // namespace shimmy::serve

// Server-sent events as they come in parts.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace shimmy {

struct SseLine {
    enum class Kind { data, comment, end_of_event, other };

    Kind kind;
    std::string_view text;  // of data, what it carries
};

// The lines of a stream, each when it is whole.
class SseLines {
public:
    void feed(std::string_view bytes, const std::function<void(const SseLine & line)> & on_line);

    const std::string & unread() const { return unread_; }  // of the line that is not whole yet
    void forget() { unread_.clear(); }

private:
    std::string unread_;
};

class SseReader {
public:
    // The data of every event that is whole now, its lines joined by line ends. Comments say nothing.
    std::vector<std::string> feed(std::string_view bytes);

private:
    SseLines lines_;
    std::string data_;
    bool any_ = false;  // whether the event has a line of data yet
};

}  // namespace shimmy

// What the server and a model's process say to each other, as frames on a socket pair: the one that a process was
// started with (control), and one for each request (a channel), whose other end is handed over through control. A
// channel that closes says by itself that the other side is gone: no path, no port and no permission is involved.
#pragma once

#include "base/process/descriptor.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace shimmy::serve::wire {

enum class Kind : uint8_t {
    ask = 'Q',    // server: what is wanted, as JSON
    body = 'B',   // server: the request's body
    head = 'H',   // process: status and content type, as JSON
    data = 'D',   // process: a part of the answer, or all of it
    error = 'X',  // process: the request failed, as JSON, before or after the head
    end = 'E',    // process: the answer is whole; its figures as JSON
};

struct Frame {
    Kind kind = Kind::end;
    std::string payload;
};

// False if the other side is gone. Waits for it to read.
bool send_frame(const Descriptor & socket, Kind kind, std::string_view payload);

class FrameReader {
public:
    explicit FrameReader(const Descriptor & socket) : socket_(socket) {}

    enum class Got { frame, nothing_yet, closed };
    // Waits for a whole frame, at most `timeout`.
    Got read(Frame & frame, std::chrono::milliseconds timeout);

private:
    bool take(Frame & frame);

    const Descriptor & socket_;
    std::string buffer_;
    size_t start_ = 0;  // of what is unread in it
};

}  // namespace shimmy::serve::wire

#include "serve/wire/frames.h"

#include "base/error.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>

namespace shimmy::serve::wire {

namespace {

constexpr size_t HEAD_BYTES = 5;                           // length of the payload, little-endian, and the kind
constexpr uint32_t MAX_PAYLOAD_BYTES = uint32_t{1} << 30;  // what is longer is no frame
constexpr size_t READ_BYTES = 16384;

std::array<char, HEAD_BYTES> head_of(Kind kind, size_t n_bytes) {
    std::array<char, HEAD_BYTES> head{};
    for (size_t i = 0; i < 4; ++i)
        head[i] = static_cast<char>(n_bytes >> (8 * i));
    head[4] = static_cast<char>(kind);
    return head;
}

uint32_t length_of(const char * head) {
    uint32_t n = 0;
    for (size_t i = 0; i < 4; ++i)
        n |= uint32_t{static_cast<unsigned char>(head[i])} << (8 * i);
    return n;
}

}  // namespace

bool send_frame(const Descriptor & socket, Kind kind, std::string_view payload) {
    std::array<char, HEAD_BYTES> head = head_of(kind, payload.size());
    std::array<iovec, 2> parts{{{head.data(), head.size()}, {const_cast<char *>(payload.data()), payload.size()}}};
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    for (size_t left = HEAD_BYTES + payload.size(); left > 0;) {
        const ssize_t sent = ::sendmsg(socket.fd(), &message, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return false;
        left -= static_cast<size_t>(sent);
        for (size_t skip = static_cast<size_t>(sent), i = 0; i < parts.size() && skip > 0; ++i) {
            const size_t n = std::min(skip, parts[i].iov_len);
            parts[i].iov_base = static_cast<char *>(parts[i].iov_base) + n;
            parts[i].iov_len -= n;
            skip -= n;
        }
    }
    return true;
}

bool FrameReader::take(Frame & frame) {
    if (buffer_.size() - start_ < HEAD_BYTES) return false;
    const size_t n = length_of(buffer_.data() + start_);
    if (n > MAX_PAYLOAD_BYTES) fail("a frame of {} bytes", n);
    if (buffer_.size() - start_ < HEAD_BYTES + n) return false;
    frame.kind = static_cast<Kind>(buffer_[start_ + 4]);
    frame.payload = buffer_.substr(start_ + HEAD_BYTES, n);
    start_ += HEAD_BYTES + n;
    if (start_ == buffer_.size()) {
        buffer_.clear();
        start_ = 0;
    }
    return true;
}

FrameReader::Got FrameReader::read(Frame & frame, std::chrono::milliseconds timeout) {
    while (!take(frame)) {
        pollfd ready{socket_.fd(), POLLIN, 0};
        const int n_ready = ::poll(&ready, 1, static_cast<int>(timeout.count()));
        if (n_ready == 0) return Got::nothing_yet;
        if (n_ready < 0) {
            if (errno == EINTR) continue;
            return Got::closed;
        }
        buffer_.erase(0, start_);
        start_ = 0;
        const size_t n_old = buffer_.size();
        buffer_.resize(n_old + READ_BYTES);
        const ssize_t n = ::recv(socket_.fd(), buffer_.data() + n_old, READ_BYTES, 0);
        buffer_.resize(n_old + (n > 0 ? static_cast<size_t>(n) : 0));
        if (n == 0 || (n < 0 && errno != EINTR)) return Got::closed;
    }
    return Got::frame;
}

}  // namespace shimmy::serve::wire

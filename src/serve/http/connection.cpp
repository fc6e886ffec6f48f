#include "serve/http/connection.h"

#include "serve/http/head.h"
#include "serve/http/request.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>

namespace shimmy::serve {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr size_t MAX_HEAD_BYTES = size_t{64} << 10;
constexpr milliseconds HEAD_LIMIT{10000};   // for a whole head, from its first byte on
constexpr milliseconds STOP_INTERVAL{100};  // how soon an idle connection notices that the server ends
constexpr milliseconds FAREWELL_LIMIT{100};

bool wait_for(int fd, short events, milliseconds timeout) {
    pollfd ready{fd, events, 0};
    return ::poll(&ready, 1, static_cast<int>(timeout.count())) == 1;
}

void address_of(const sockaddr_storage & storage, std::string & ip, int & port) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (storage.ss_family == AF_INET) {
        const auto * v4 = reinterpret_cast<const sockaddr_in *>(&storage);
        ::inet_ntop(AF_INET, &v4->sin_addr, text.data(), text.size());
        port = ntohs(v4->sin_port);
    } else if (storage.ss_family == AF_INET6) {
        const auto * v6 = reinterpret_cast<const sockaddr_in6 *>(&storage);
        ::inet_ntop(AF_INET6, &v6->sin6_addr, text.data(), text.size());
        port = ntohs(v6->sin6_port);
    }
    ip = text.data();
}

// The connection as httplib reads and writes it. Bytes that came with an earlier request come first.
class ConnectionStream : public httplib::Stream {
public:
    ConnectionStream(int fd, milliseconds read_limit, milliseconds write_limit)
        : fd_(fd), read_limit_(read_limit), write_limit_(write_limit) {}

    // What the next request's head is, if it is there whole.
    std::string_view whole_head() const {
        const size_t end = buffer_.find("\r\n\r\n");
        return end == std::string::npos ? std::string_view() : std::string_view(buffer_).substr(0, end + 4);
    }
    size_t n_buffered() const { return buffer_.size(); }
    // As recv(2).
    ssize_t fill() {
        std::array<char, 16384> bytes;
        ssize_t n = 0;
        do {
            n = ::recv(fd_, bytes.data(), bytes.size(), 0);
        } while (n < 0 && errno == EINTR);
        if (n > 0) buffer_.append(bytes.data(), static_cast<size_t>(n));
        return n;
    }

    bool is_readable() const override { return !buffer_.empty(); }
    bool wait_readable() const override { return !buffer_.empty() || wait_for(fd_, POLLIN, read_limit_); }
    bool wait_writable() const override { return wait_for(fd_, POLLOUT, write_limit_) && is_alive(); }
    bool is_peer_alive() const override { return is_alive(); }

    ssize_t read(char * bytes, size_t size) override {
        if (buffer_.empty()) {
            if (!wait_readable()) {
                error_ = httplib::Error::Timeout;
                return -1;
            }
            const ssize_t n = fill();
            if (n <= 0) {
                error_ = n == 0 ? httplib::Error::ConnectionClosed : httplib::Error::Read;
                return n;
            }
        }
        const size_t n = std::min(size, buffer_.size());
        std::memcpy(bytes, buffer_.data(), n);
        buffer_.erase(0, n);
        return static_cast<ssize_t>(n);
    }
    ssize_t write(const char * bytes, size_t size) override {
        if (!wait_for(fd_, POLLOUT, write_limit_)) {
            error_ = httplib::Error::Timeout;
            return -1;
        }
        ssize_t n = 0;
        do {
            n = ::send(fd_, bytes, size, MSG_NOSIGNAL);
        } while (n < 0 && errno == EINTR);
        if (n < 0) error_ = httplib::Error::Write;
        return n;
    }

    const char * buffered_data(size_t & size) const override {
        size = buffer_.size();
        return buffer_.data();
    }
    void consume_buffered(size_t size) override { buffer_.erase(0, size); }

    void get_remote_ip_and_port(std::string & ip, int & port) const override {
        sockaddr_storage storage{};
        socklen_t size = sizeof(storage);
        if (::getpeername(fd_, reinterpret_cast<sockaddr *>(&storage), &size) == 0) address_of(storage, ip, port);
    }
    void get_local_ip_and_port(std::string & ip, int & port) const override {
        sockaddr_storage storage{};
        socklen_t size = sizeof(storage);
        if (::getsockname(fd_, reinterpret_cast<sockaddr *>(&storage), &size) == 0) address_of(storage, ip, port);
    }
    socket_t socket() const override { return fd_; }
    time_t duration() const override { return 0; }
    void set_read_timeout(time_t sec, time_t usec) override { read_limit_ = milliseconds(sec * 1000 + usec / 1000); }

private:
    bool is_alive() const {
        char byte = 0;
        const ssize_t n = ::recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
    }

    int fd_;
    milliseconds read_limit_;
    milliseconds write_limit_;
    std::string buffer_;
};

enum class HeadState { whole, refused, over };

// Waits for a whole head. `is_ending`: the server takes no more.
template <typename IsEnding>
HeadState read_head(ConnectionStream & stream, milliseconds idle_limit, const IsEnding & is_ending,
                    std::string & fault) {
    Clock::time_point end = Clock::now() + (stream.n_buffered() > 0 ? HEAD_LIMIT : idle_limit);
    while (stream.whole_head().empty()) {
        if (stream.n_buffered() > MAX_HEAD_BYTES) {
            fault = fmt::format("the head is larger than {} KiB", MAX_HEAD_BYTES >> 10);
            return HeadState::refused;
        }
        if (is_ending() && stream.n_buffered() == 0) return HeadState::over;
        if (!wait_for(stream.socket(), POLLIN, STOP_INTERVAL)) {
            if (Clock::now() < end) continue;
            fault = "the head did not come in time";
            return stream.n_buffered() == 0 ? HeadState::over : HeadState::refused;
        }
        const bool first = stream.n_buffered() == 0;
        if (stream.fill() <= 0) return HeadState::over;
        if (first) end = Clock::now() + HEAD_LIMIT;
        if (Clock::now() > end) {
            fault = "the head did not come in time";
            return HeadState::refused;
        }
    }
    if (const auto wrong = head_fault(stream.whole_head())) {
        fault = *wrong;
        return HeadState::refused;
    }
    return HeadState::whole;
}

void refuse(ConnectionStream & stream, const std::string & fault) {
    const std::string body = to_text(error_document(400, "this is no request: " + fault));
    const std::string answer = fmt::format(
        "HTTP/1.1 400 Bad Request\r\nServer: shimmy\r\nConnection: close\r\nContent-Type: application/json; "
        "charset=utf-8\r\nContent-Length: {}\r\n\r\n{}",
        body.size(), body);
    for (size_t sent = 0; sent < answer.size();) {
        const ssize_t n = stream.write(answer.data() + sent, answer.size() - sent);
        if (n <= 0) return;
        sent += static_cast<size_t>(n);
    }
}

// What the client still sends is read for a moment: a close with bytes unread would take the answer away from it.
void close_gently(int fd) {
    ::shutdown(fd, SHUT_WR);
    std::array<char, 4096> bytes;
    const Clock::time_point end = Clock::now() + FAREWELL_LIMIT;
    while (Clock::now() < end && wait_for(fd, POLLIN, FAREWELL_LIMIT)) {
        if (::recv(fd, bytes.data(), bytes.size(), 0) <= 0) break;
    }
    ::close(fd);
}

}  // namespace

namespace {

// Set while the library reads a request on this thread and does not understand it: it would go on with what follows.
thread_local bool not_understood = false;

}  // namespace

StrictServer::StrictServer() {
    set_error_logger([](const httplib::Error &, const httplib::Request *) { not_understood = true; });
}

size_t StrictServer::n_open() const {
    const std::lock_guard lock(mutex_);
    return open_.size();
}

void StrictServer::cut_off() {
    const std::lock_guard lock(mutex_);
    for (const socket_t socket : open_)
        ::shutdown(socket, SHUT_RDWR);
}

bool StrictServer::process_and_close_socket(socket_t socket) {
    {
        const std::lock_guard lock(mutex_);
        open_.insert(socket);
    }
    const bool good = process(socket);
    {
        const std::lock_guard lock(mutex_);
        open_.erase(socket);  // before its number can be another's
    }
    close_gently(socket);
    return good;
}

bool StrictServer::process(socket_t socket) {
    const auto read_limit = milliseconds(read_timeout_sec_ * 1000);
    ConnectionStream stream(socket, read_limit, milliseconds(write_timeout_sec_ * 1000));
    std::string remote_ip;
    std::string local_ip;
    int remote_port = 0;
    int local_port = 0;
    stream.get_remote_ip_and_port(remote_ip, remote_port);
    stream.get_local_ip_and_port(local_ip, local_port);
    const auto is_ending = [this] { return svr_sock_ == INVALID_SOCKET; };
    bool good = false;
    for (size_t n = 1; n <= keep_alive_max_count_; ++n) {
        std::string fault;
        const HeadState state = read_head(stream, milliseconds(keep_alive_timeout_sec_ * 1000), is_ending, fault);
        if (state == HeadState::refused) refuse(stream, fault);
        if (state != HeadState::whole) break;
        bool closed = false;
        bool upgraded = false;
        not_understood = false;
        stream.set_read_timeout(read_timeout_sec_, 0);
        const bool last = n == keep_alive_max_count_ || is_ending();
        good = serve_guarded([&] {
            return process_request(stream, remote_ip, remote_port, local_ip, local_port, last, closed, nullptr,
                                   &upgraded);
        });
        if (!good || closed || upgraded || last || not_understood) break;
    }
    return good;
}

}  // namespace shimmy::serve

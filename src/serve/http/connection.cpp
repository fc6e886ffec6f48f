#include "serve/http/connection.h"

#include "serve/http/head.h"
#include "serve/http/request.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <string>
#include <string_view>

namespace shimmy::serve {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr size_t MAX_HEAD_BYTES = size_t{64} << 10;
constexpr milliseconds HEAD_LIMIT{10000};   // for a whole head, from its first byte on
constexpr milliseconds STOP_INTERVAL{100};  // how soon an idle connection notices that the server ends
constexpr milliseconds LAST_READ_LIMIT{100};
// A body comes at this rate at least, once it has had some time: else a byte every few seconds would hold a connection
// for as long as it likes.
constexpr milliseconds BODY_GRACE{10000};
constexpr double LEAST_BYTES_PER_S = 1024.0;

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

void peer_of(int fd, std::string & ip, int & port) {
    sockaddr_storage storage{};
    socklen_t size = sizeof(storage);
    if (::getpeername(fd, reinterpret_cast<sockaddr *>(&storage), &size) == 0) address_of(storage, ip, port);
}

// The connection as httplib reads and writes it. Bytes that came with an earlier request come first.
class ConnectionStream : public httplib::Stream {
public:
    ConnectionStream(Connection & connection, milliseconds read_limit, milliseconds write_limit)
        : connection_(connection), fd_(connection.socket), read_limit_(read_limit), write_limit_(write_limit) {}

    // The head of a request is there; its body, if it has one, is read next.
    void begin_body() {
        answers_ = false;
        body_begun_ = Clock::now();
        n_body_bytes_ = 0;
    }
    void wait_begins() { connection_.waits_since = Clock::now(); }
    void wait_ends() { connection_.waits_since = Clock::time_point::max(); }

    // What the next request's head is, if it is there whole.
    std::string_view whole_head() const {
        const size_t end = buffer_.find("\r\n\r\n");
        return end == std::string::npos ? std::string_view() : std::string_view(buffer_).substr(0, end + 4);
    }
    size_t n_buffered() const { return buffer_.size(); }
    // Before a head, where some clients end a body with one too many (RFC 9112, 2.2).
    void skip_empty_lines() {
        while (buffer_.starts_with("\r\n"))
            buffer_.erase(0, 2);
    }
    // A whole address as the target (RFC 9112, 3.2.2) becomes its path, which is what the HTTP library reads.
    void make_target_relative() {
        const size_t target = buffer_.find(' ') + 1;
        const size_t scheme = buffer_.find("://", target);
        const size_t end = buffer_.find(' ', target);
        if (buffer_[target] == '/' || scheme == std::string::npos || scheme > end) return;
        const size_t path = std::min(buffer_.find_first_of("/?#", scheme + 3), end);
        buffer_.replace(target, path - target, path < end && buffer_[path] == '/' ? "" : "/");
    }
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
            const ssize_t n = receive();
            if (n <= 0) return n;
        }
        const size_t n = std::min(size, buffer_.size());
        std::memcpy(bytes, buffer_.data(), n);
        buffer_.erase(0, n);
        return static_cast<ssize_t>(n);
    }
    ssize_t write(const char * bytes, size_t size) override {
        constexpr std::string_view CONTINUE = "HTTP/1.1 100";
        if (!std::string_view(bytes, size).starts_with(CONTINUE)) answers_ = true;
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
        return buffer_.empty() ? nullptr : buffer_.data();  // an address is waited for: the library would ask for ever
    }
    void consume_buffered(size_t size) override { buffer_.erase(0, size); }

    void get_remote_ip_and_port(std::string & ip, int & port) const override { peer_of(fd_, ip, port); }
    void get_local_ip_and_port(std::string & ip, int & port) const override {
        sockaddr_storage storage{};
        socklen_t size = sizeof(storage);
        if (::getsockname(fd_, reinterpret_cast<sockaddr *>(&storage), &size) == 0) address_of(storage, ip, port);
    }
    socket_t socket() const override { return fd_; }
    time_t duration() const override { return 0; }
    void set_read_timeout(time_t sec, time_t usec) override { read_limit_ = milliseconds(sec * 1000 + usec / 1000); }

private:
    // More of a body; or of what a WebSocket's client says, which may take its time.
    ssize_t receive() {
        const Clock::time_point start = Clock::now();
        const bool is_body = !answers_;
        if (is_body) connection_.waits_since = start;
        const bool readable = wait_for(fd_, POLLIN, read_limit_) && !(is_body && is_too_slow());
        const ssize_t n = readable ? fill() : -1;
        if (is_body) wait_ends();
        if (n > 0) n_body_bytes_ += static_cast<size_t>(n);
        if (!readable)
            error_ = httplib::Error::Timeout;
        else if (n <= 0)
            error_ = n == 0 ? httplib::Error::ConnectionClosed : httplib::Error::Read;
        return n;
    }
    bool is_too_slow() const {
        const auto taken = Clock::now() - body_begun_;
        return taken > BODY_GRACE &&
               static_cast<double>(n_body_bytes_) < LEAST_BYTES_PER_S * std::chrono::duration<double>(taken).count();
    }
    bool is_alive() const {
        char byte = 0;
        const ssize_t n = ::recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
    }

    Connection & connection_;
    int fd_;
    milliseconds read_limit_;
    milliseconds write_limit_;
    std::string buffer_;
    std::atomic<bool> answers_ = false;  // a response has begun
    Clock::time_point body_begun_;
    size_t n_body_bytes_ = 0;
};

enum class HeadState { whole, refused, over };

// Waits for a whole head. `is_ending`: the server takes no more.
template <typename IsEnding>
HeadState read_head(ConnectionStream & stream, milliseconds idle_limit, const IsEnding & is_ending,
                    std::string & fault) {
    stream.wait_begins();
    stream.skip_empty_lines();
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
        stream.skip_empty_lines();
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
    stream.wait_ends();
    stream.make_target_relative();
    return HeadState::whole;
}

void turn_away(ConnectionStream & stream, int status, const char * reason, const std::string & message) {
    const std::string body = to_text(error_document(status, message));
    const std::string answer = fmt::format(
        "HTTP/1.1 {} {}\r\nServer: shimmy\r\nConnection: close\r\nContent-Type: application/json; "
        "charset=utf-8\r\nContent-Length: {}\r\n\r\n{}",
        status, reason, body.size(), body);
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
    const Clock::time_point end = Clock::now() + LAST_READ_LIMIT;
    while (Clock::now() < end && wait_for(fd, POLLIN, LAST_READ_LIMIT)) {
        if (::recv(fd, bytes.data(), bytes.size(), 0) <= 0) break;
    }
    ::close(fd);
}

}  // namespace

namespace {

// Set while the library reads a request on this thread and does not understand it: it would go on with what follows.
thread_local bool not_understood = false;

}  // namespace

ConnectionLimits possible_limits() {
    constexpr rlim_t OTHERS = 128;  // files that are not connections
    constexpr rlim_t OF_EACH = 2;
    ConnectionLimits limits;
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return limits;
    const rlim_t wanted = limits.all * OF_EACH + OTHERS;
    if (files.rlim_cur < wanted) {
        rlimit more = files;
        more.rlim_cur = std::min(files.rlim_max, wanted);
        if (::setrlimit(RLIMIT_NOFILE, &more) == 0) files = more;
    }
    if (files.rlim_cur < wanted) {
        limits.all = std::max<size_t>(8, (files.rlim_cur - std::min(files.rlim_cur, OTHERS)) / OF_EACH);
        limits.of_one_address = limits.all / 2;
    }
    return limits;
}

StrictServer::StrictServer(const ConnectionLimits & limits) : limits_(limits) {
    set_error_logger([](const httplib::Error &, const httplib::Request *) { not_understood = true; });
}

size_t StrictServer::n_open() const {
    const std::lock_guard lock(mutex_);
    return open_.size();
}

void StrictServer::cut_off() {
    const std::lock_guard lock(mutex_);
    for (const Connection & connection : open_)
        ::shutdown(connection.socket, SHUT_RDWR);
}

// With the lock held, as those below.
size_t StrictServer::n_open_of(const std::string & ip) const {
    return static_cast<size_t>(std::count_if(open_.begin(), open_.end(), [&](const Connection & connection) {
        return connection.ip == ip && !connection.cut;
    }));
}

// Of those that wait for their clients; `ip`: of this address only. Null if there is none.
Connection * StrictServer::most_dispensable(const std::string & ip) const {
    std::map<std::string, size_t> n_by_address;
    for (const Connection & connection : open_)
        n_by_address[connection.ip] += connection.cut ? 0 : 1;
    const Connection * found = nullptr;
    const auto before = [&](const Connection & a, const Connection & b) {
        const size_t n_a = n_by_address[a.ip];
        const size_t n_b = n_by_address[b.ip];
        return n_a != n_b ? n_a > n_b : a.waits_since.load() < b.waits_since.load();
    };
    for (const Connection & connection : open_) {
        const bool waits = !connection.cut && connection.waits_since.load() != Clock::time_point::max();
        if (!waits || (!ip.empty() && connection.ip != ip)) continue;
        if (found == nullptr || before(connection, *found)) found = &connection;
    }
    return const_cast<Connection *>(found);
}

// For one more of `ip`. False where all are busy.
bool StrictServer::make_room(const std::string & ip) {
    const bool address_full = n_open_of(ip) >= limits_.of_one_address;
    const auto n_all = std::count_if(open_.begin(), open_.end(), [](const Connection & one) { return !one.cut; });
    if (!address_full && static_cast<size_t>(n_all) < limits_.all) return true;
    Connection * one = most_dispensable(address_full ? ip : "");
    if (one == nullptr) return false;
    one->cut = true;
    ::shutdown(one->socket, SHUT_RDWR);
    return true;
}

bool StrictServer::process_and_close_socket(socket_t socket) {
    std::list<Connection>::iterator connection;
    bool has_room = false;
    {
        const std::lock_guard lock(mutex_);
        std::string ip;
        int port = 0;
        peer_of(socket, ip, port);
        has_room = make_room(ip);
        connection = open_.emplace(open_.end());
        connection->socket = socket;
        connection->ip = ip;
        connection->cut = !has_room;
    }
    const bool good = has_room && process(*connection);
    if (!has_room) {
        ConnectionStream stream(*connection, milliseconds(0), LAST_READ_LIMIT);
        turn_away(stream, 503, "Service Unavailable", "there are too many connections");
    }
    {
        const std::lock_guard lock(mutex_);
        open_.erase(connection);  // before its number can be another's
    }
    close_gently(socket);
    return good;
}

bool StrictServer::process(Connection & connection) {
    const auto read_limit = milliseconds(read_timeout_sec_ * 1000);
    ConnectionStream stream(connection, read_limit, milliseconds(write_timeout_sec_ * 1000));
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
        if (state == HeadState::refused) turn_away(stream, 400, "Bad Request", "this is no request: " + fault);
        if (state != HeadState::whole) break;
        bool closed = false;
        bool upgraded = false;
        not_understood = false;
        stream.set_read_timeout(read_timeout_sec_, 0);
        stream.begin_body();
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

// One TCP connection of a client: its requests one after another, each read by the rules (http/head.h) before the HTTP
// library sees it, within limits of time and size.
#pragma once

#include <cpp-httplib/httplib.h>

#include <atomic>
#include <chrono>
#include <list>
#include <mutex>
#include <string>

namespace shimmy::serve {

// A connection that is open.
struct Connection {
    using Clock = std::chrono::steady_clock;

    socket_t socket = INVALID_SOCKET;
    std::string ip;  // of the client
    // Since when it waits for its client: for a request, or the rest of one; max: it does not.
    std::atomic<Clock::time_point> waits_since = Clock::time_point::max();
    bool cut = false;  // it made room for another
};

// How many connections may be open at once.
struct ConnectionLimits {
    size_t all = 2048;
    size_t of_one_address = 1024;  // everybody behind a proxy has one address
};

// As many as this process may have open files for, the model's side of each request among them. Raises that number as
// far as the system lets it.
ConnectionLimits possible_limits();

// httplib's server with connections of ours. What is sent ahead of an answer (pipelining) is kept for the next request;
// what is no request ends the connection. Where there are too many, one that waits for its client makes room for a new
// one: the one that has waited longest of the address that has the most.
class StrictServer : public httplib::Server {
public:
    StrictServer() : StrictServer(possible_limits()) {}
    explicit StrictServer(const ConnectionLimits & limits);

    // Connections that are open now.
    size_t n_open() const;
    // Ends them all, whatever their clients do. They are closed by their own threads.
    void cut_off();

protected:
    // All of one connection, until it is closed.
    bool process_and_close_socket(socket_t socket) override;

private:
    bool process(Connection & connection);
    bool make_room(const std::string & ip);
    Connection * most_dispensable(const std::string & ip) const;
    size_t n_open_of(const std::string & ip) const;

    ConnectionLimits limits_;
    mutable std::mutex mutex_;
    std::list<Connection> open_;
};

}  // namespace shimmy::serve

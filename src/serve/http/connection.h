// One TCP connection of a client: its requests one after another, each read by the rules (http/head.h) before the HTTP
// library sees it, within limits of time and size.
#pragma once

#include <cpp-httplib/httplib.h>

#include <mutex>
#include <set>

namespace shimmy::serve {

// httplib's server with connections of ours. What is sent ahead of an answer (pipelining) is kept for the next request;
// what is no request ends the connection.
class StrictServer : public httplib::Server {
public:
    StrictServer();

    // Connections that are open now.
    size_t n_open() const;
    // Ends them all, whatever their clients do. They are closed by their own threads.
    void cut_off();

private:
    bool process_and_close_socket(socket_t socket) override;
    bool process(socket_t socket);

    mutable std::mutex mutex_;
    std::set<socket_t> open_;
};

}  // namespace shimmy::serve

// Internal to serve/: one address on which requests are taken: connections, keys, limits, errors as JSON. What a path
// does is the handlers' business.
//
// llama.cpp's server_http_context is not used: it has no WebSockets, closes the connection after every streamed answer,
// answers a body that is too large without a word, and compares keys in a time that depends on them.
#pragma once

#include "serve/http.h"
#include "serve/server.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace shimmy::serve {

enum class Access {
    key,     // needs the key, if the server has one
    anyone,  // health checks and the page itself
};

// One conversation over a WebSocket: the client's message in, frames out. `send` returns false once the client is gone.
using WebSocketHandler =
    std::function<void(const std::string & message, const std::function<bool(const std::string & frame)> & send,
                       const std::function<bool()> & should_stop)>;

class HttpFront {
public:
    // `api_key` empty: none is asked for.
    HttpFront(const Address & address, const std::string & api_key);
    ~HttpFront();
    HttpFront(const HttpFront &) = delete;
    HttpFront & operator=(const HttpFront &) = delete;

    // `path` may hold parameters: "/api/models/:name/load". A handler may throw.
    void get(const std::string & path, const Handler & handler, Access access = Access::key);
    void post(const std::string & path, const Handler & handler);
    void del(const std::string & path, const Handler & handler);
    void websocket(const std::string & path, const WebSocketHandler & handler);

    // How a handler's error is told. Default: error_document().
    void set_error_format(std::function<Json(int status, const std::string & message)> format);

    // Binds and takes connections. Returns the address with the port that was chosen. Throws Error if it cannot be had,
    // which names `option`, by which another could be chosen.
    Address start(const std::string & option);

    // Ends answers that are being streamed, and takes no more requests.
    void stop();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace shimmy::serve

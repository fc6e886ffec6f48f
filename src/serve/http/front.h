// One address on which requests are taken: connections, keys, limits, errors as JSON. What a path does is the handlers'
// business.
//
// llama.cpp's server_http_context is not used: it has no WebSockets, closes the connection after every streamed answer,
// answers a body that is too large without a word, and compares keys in a time that depends on them.
#pragma once

#include "serve/http/access.h"
#include "serve/http/budget.h"
#include "serve/http/request.h"
#include "serve/listen/address.h"

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace shimmy::serve {

enum class Needs {
    key,      // if the server has one
    nothing,  // health checks and the page itself
};

// One conversation over a WebSocket: the client's message in, frames out. `send` returns false once the client is gone.
using WebSocketHandler =
    std::function<void(const std::string & message, const std::function<bool(const std::string & frame)> & send,
                       const StopCheck & should_stop)>;

// How an error is told.
using ErrorFormat = std::function<Json(const HttpError & error)>;

class HttpFront {
public:
    // `budget`: of the bodies of all requests that wait, on this address and others. It must outlive this.
    HttpFront(const Address & address, Access access, Budget & budget);
    ~HttpFront();
    HttpFront(const HttpFront &) = delete;
    HttpFront & operator=(const HttpFront &) = delete;

    // `path` may hold a parameter: "/api/models/:name/load". It takes up to four parts of a path, since names of models
    // have slashes ("hf.co/user/model"). A handler may throw.
    void get(const std::string & path, const Handler & handler, Needs needs = Needs::key);
    void post(const std::string & path, const Handler & handler);
    void del(const std::string & path, const Handler & handler);
    void websocket(const std::string & path, const WebSocketHandler & handler);

    // For paths that begin with `prefix`. Default: {"error": …} in OpenAI's shape.
    void set_error_format(const std::string & prefix, ErrorFormat format);

    // Binds and takes connections. Returns the address with the port that was chosen. Throws Error if it cannot be had,
    // which names `option`, by which another could be chosen.
    Address start(const std::string & option);

    // From now on requests are refused. Those that are being answered go on.
    void drain();
    // How many are being answered.
    int n_running() const;
    // Answers that are being sent end with an error.
    void cancel();
    // Ends connections and takes no more.
    void stop();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace shimmy::serve

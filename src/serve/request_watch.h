// Internal to serve/: ends the work of requests whose clients went away, at once.
//
// llama.cpp's handlers look whether their client is there when they have waited a second in which no request of the
// model got a token. One that waits in the queue, for its prompt or for a whole answer beside busy others is not looked
// at.
#pragma once

#include "serve/http.h"

#include "server-context.h"

#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <thread>

namespace shimmy::serve {

class RequestWatch {
    struct Watched;

public:
    // Of the model that `context` has loaded. Both must outlive this.
    RequestWatch(server_context & context, const server_routes & routes);
    ~RequestWatch();
    RequestWatch(const RequestWatch &) = delete;
    RequestWatch & operator=(const RequestWatch &) = delete;

    // While it exists, the request is watched.
    class Ticket {
    public:
        // `keeps_marks`: its handler hands parameters on that it does not know.
        Ticket(RequestWatch & watch, std::function<bool()> is_gone, bool keeps_marks);
        ~Ticket();
        Ticket(const Ticket &) = delete;
        Ticket & operator=(const Ticket &) = delete;

        // The request's body, a JSON object, with the mark by which its work is found.
        std::string marked(const std::string & body) const;

    private:
        RequestWatch & watch_;
        std::list<Watched>::iterator watched_;
    };

private:
    struct Watched {
        int mark = 0;  // 0: none
        std::function<bool()> is_gone;
        bool gone = false;
    };

    void run();
    bool look();  // true: some client is gone
    void end_work();
    bool is_abandoned(int mark);

    server_context & context_;
    const server_routes & routes_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::list<Watched> watched_;
    int last_mark_ = 0;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace shimmy::serve

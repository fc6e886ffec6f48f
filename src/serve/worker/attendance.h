// Looks after the requests that are being computed: one whose client went away is ended at once, and one that has said
// nothing for a while gets to say that it is alive.
//
// llama.cpp's reader asks whether its client is there only after a second in which no request of the model got a token,
// so under load it would compute for nobody. Here a result is put into its queue, by the task's id, which wakes it.
#pragma once

#include "serve/wire/frames.h"

#include "server-queue.h"

#include <chrono>
#include <list>
#include <mutex>
#include <thread>
#include <unordered_set>

namespace shimmy::serve::worker {

// A result that says nothing but that time has passed.
struct Tick : server_task_result {
    bool is_stop() override { return false; }
    json to_json() override { return nullptr; }
};

class Attendance {
    struct Attended;

public:
    Attendance();
    ~Attendance();
    Attendance(const Attendance &) = delete;
    Attendance & operator=(const Attendance &) = delete;

    // One request, for as long as this exists.
    class Ticket {
    public:
        // `channel`: closes when the client goes away. Both must outlive this.
        Ticket(Attendance & attendance, const Descriptor & channel, server_response_reader & reader);
        ~Ticket();
        Ticket(const Ticket &) = delete;
        Ticket & operator=(const Ticket &) = delete;

        // Posts the request's tasks, unless its client has left.
        void post(std::vector<server_task> tasks);
        // The client left: what comes from the reader now is an error.
        bool is_gone() const;
        // A result comes at least every so often from now on.
        void set_interval(std::chrono::milliseconds interval);

    private:
        Attendance & attendance_;
        std::list<Attended>::iterator attended_;
    };

private:
    using Clock = std::chrono::steady_clock;
    struct Attended {
        uint64_t number = 0;  // of its events: a descriptor may be another request's by the time that one is read
        const Descriptor * channel = nullptr;
        server_response_reader * reader = nullptr;
        bool posted = false;
        bool gone = false;
        std::chrono::milliseconds interval{0};  // 0: no ticks
        Clock::time_point next_tick;
    };

    void run();
    int wait_ms() const;
    static void end(Attended & one);
    void tick_all();

    mutable std::mutex mutex_;
    std::list<Attended> attended_;
    uint64_t last_number_ = 0;
    Descriptor epoll_;
    Descriptor stop_;  // an eventfd that ends the thread
    std::thread thread_;
};

}  // namespace shimmy::serve::worker

// A process in which one model computes (serve/worker/): started, loaded, watched and ended. Whatever happens in it,
// the server goes on.
#pragma once

#include "base/error.h"
#include "serve/wire/documents.h"
#include "serve/wire/frames.h"
#include "serve/wire/model.h"

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace shimmy::serve {

// The process ended while its model was being loaded.
class ProcessEnded : public Error {
public:
    using Error::Error;
};

class ModelProcess {
public:
    // Starts a process and loads the model. `should_stop`: gives up, with Interrupted. Throws what engine::Model throws
    // for a model that cannot be loaded, and Error where the process ends on the way.
    ModelProcess(std::string name, const ModelOptions & options, const std::function<bool()> & should_stop);
    // Ends it, whatever it does, and waits until its memory is free.
    ~ModelProcess();
    ModelProcess(const ModelProcess &) = delete;
    ModelProcess & operator=(const ModelProcess &) = delete;

    const std::string & name() const { return name_; }
    const Loaded & loaded() const { return loaded_; }

    // A new channel to it, with `ask` and `body` sent. Throws Error if it has ended.
    Descriptor open(const wire::Ask & ask, std::string_view body) const;

    // The whole answer of a route that wants no model's work. Throws Error, and Interrupted where `should_stop`.
    std::string ask(const char * route, std::string_view body, const std::function<bool()> & should_stop) const;

    bool has_ended() const;
    // "ended by SIGSEGV: its last line". Waits for the end a little, for one whose channel has just closed.
    std::string how_it_ended() const;
    // From the start to now, or to its end.
    std::chrono::milliseconds age() const;

    // Devices as a process of its own finds them: the server itself holds no memory on a GPU.
    static std::vector<engine::Device> devices(const ModelOptions & options);

private:
    using Clock = std::chrono::steady_clock;

    explicit ModelProcess(std::string name, std::chrono::seconds stall_limit);
    void keep();
    void start();
    void watch();
    int collect();
    void read_output(int fd);
    void note_line(const std::string & line);
    void set_ended(int exit_code);

    std::string name_;
    std::chrono::seconds stall_limit_;
    Loaded loaded_;
    Descriptor control_;
    Descriptor stderr_;
    Clock::time_point started_ = Clock::now();
    mutable std::mutex mutex_;
    mutable std::condition_variable changed_;
    pid_t pid_ = -1;
    bool starting_ = true;
    std::string start_error_;
    bool ended_ = false;
    int exit_code_ = 0;
    bool was_stalled_ = false;
    Clock::time_point ended_at_;
    std::string unfinished_line_;
    std::string last_line_;
    std::atomic<bool> ending_ = false;  // by the destructor
    std::thread keeper_;
};

}  // namespace shimmy::serve

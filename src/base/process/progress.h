// Progress of long work on stderr: a bar on a terminal, a plain line at every tenth otherwise.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <thread>

namespace shimmy {

class Progress {
public:
    // `quiet` shows nothing (for --json with a terminal that another program reads). `bytes`: what is done is bytes,
    // and their rate is shown.
    Progress(std::string label, bool quiet = false, bool bytes = false);
    ~Progress();
    Progress(const Progress &) = delete;
    Progress & operator=(const Progress &) = delete;

    // Throws Interrupted if Ctrl-C came, so that every long loop that reports can be stopped.
    void update(uint64_t done, uint64_t total);

    // A plain line that does not disturb the bar.
    void note(const std::string & line);

    // While the returned object lives, the time left counts down between calls of update(), of which none may be made.
    [[nodiscard]] std::jthread count_down();

private:
    void clear();
    void draw();
    std::string rate_text() const;

    std::string label_;
    bool quiet_;
    bool bytes_;
    bool terminal_;
    bool drawn_ = false;
    int last_tenth_ = 0;
    bool started_ = false;
    uint64_t done_at_start_ = 0;  // of work that goes on where it was: rate and time left are of what is done now
    double share_ = 0.0;          // done, 0 to 1
    double rate_ = 0.0;           // per second, up to the last update; 0: not known yet
    double left_s_ = 0.0;         // from then on, at that rate
    std::chrono::steady_clock::time_point start_;
    std::chrono::steady_clock::time_point last_update_;
};

}  // namespace shimmy

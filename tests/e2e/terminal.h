// The program under test on a terminal, with a person at it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

namespace shimmy::e2e {

class Terminal {
public:
    // shimmy ARGS… with a pseudo-terminal as stdin, stdout and stderr.
    explicit Terminal(std::vector<std::string> args);
    ~Terminal();  // kills it if it still runs
    Terminal(const Terminal &) = delete;
    Terminal & operator=(const Terminal &) = delete;

    // Waits until that is on the screen; false if the program ended or `timeout` passed before.
    bool shows(const std::string & text, std::chrono::seconds timeout = std::chrono::seconds(60));

    // As if on the keyboard: "y\n", "\x04" is the end of input, "\x03" Ctrl-C.
    void type(const std::string & keys) const;

    // Waits for the end. Exit code, 128 + signal number if a signal ended it.
    int wait();

    // All that was shown.
    const std::string & screen() const { return screen_; }

private:
    bool read_some(std::chrono::milliseconds timeout);  // false: the other side is closed

    int terminal_ = -1;
    pid_t pid_ = -1;
    std::string screen_;
};

}  // namespace shimmy::e2e

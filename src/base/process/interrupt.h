// Ctrl-C and SIGTERM as a flag that long work looks at, so that destructors run and partial files go away.
#pragma once

namespace shimmy {

// Installs the handlers. A second signal half a second or more after the first ends the process at once.
void install_interrupt_handler();

bool interrupted();

// What the signal asked for is done, and the program goes on: a chat whose answer was to stop.
void clear_interrupt();

// Throws Interrupted if a signal came.
void check_interrupted();

// While one lives, work is done that may not look at the flag for long (llama.cpp reads a model, compiles a GPU's
// kernels, computes a batch): a signal that is not obeyed within a second ends the process, and files under
// construction go away with it. Does nothing without install_last_words() (a server ends in its own way).
class EndsWithinASecond {
public:
    EndsWithinASecond();
    ~EndsWithinASecond();
    EndsWithinASecond(const EndsWithinASecond &) = delete;
    EndsWithinASecond & operator=(const EndsWithinASecond &) = delete;

private:
    bool active_;
};

}  // namespace shimmy

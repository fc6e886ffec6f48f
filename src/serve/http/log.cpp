#include "serve/http/log.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <mutex>

namespace shimmy::serve {

namespace {

// A pipe that says it can be written takes as many bytes without waiting (pipe(7), PIPE_BUF).
constexpr size_t MAX_LINE_BYTES = 4000;

std::mutex mutex;
uint64_t n_lost = 0;

bool write_now(const std::string & text) {
    pollfd ready{STDERR_FILENO, POLLOUT, 0};
    if (::poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0) return false;
    return ::write(STDERR_FILENO, text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

}  // namespace

void log_line(const std::string & line) {
    std::string text = line.substr(0, MAX_LINE_BYTES);
    // Text of models and clients may be in it: no control codes for the terminal.
    std::replace_if(
        text.begin(), text.end(), [](unsigned char c) { return c < ' ' && c != '\t'; }, ' ');
    text += '\n';
    const std::lock_guard lock(mutex);
    if (n_lost > 0) {
        if (!write_now(fmt::format("{} line(s) could not be written here\n", n_lost))) {
            ++n_lost;
            return;
        }
        n_lost = 0;
    }
    if (!write_now(text)) ++n_lost;
}

}  // namespace shimmy::serve

// What the server says on stderr. It never waits for a reader and never fails: a line that cannot be written now is
// counted, and the count is told with the next one that can.
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>

namespace shimmy::serve {

void log_line(const std::string & line);

template <typename... Args>
void log(fmt::format_string<Args...> format, Args &&... args) {
    log_line(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace shimmy::serve

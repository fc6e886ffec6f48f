// Errors that reach the user: one line that names the thing and the way out.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace shimmy {

// Something could not be done. The program prints `shimmy: <message>` and exits 1.
class Error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

// The command line or a file the user wrote asks for something meaningless. Exits 2.
class UsageError : public Error {
public:
    using Error::Error;
};

// The user pressed Ctrl-C, or the process was asked to end. Exits 130.
class Interrupted : public Error {
public:
    Interrupted() : Error("interrupted") {}
};

template <typename... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args &&... args) {
    throw Error(fmt::format(format, std::forward<Args>(args)...));
}

template <typename... Args>
[[noreturn]] void fail_usage(fmt::format_string<Args...> format, Args &&... args) {
    throw UsageError(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace shimmy

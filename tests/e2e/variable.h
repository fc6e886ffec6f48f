// A variable of the environment, for programs that are started while one lives. Afterwards it is what it was.
#pragma once

#include <cstdlib>
#include <optional>
#include <string>

namespace shimmy::e2e {

class Variable {
public:
    // No value: it is not set.
    Variable(const char * name, const std::optional<std::string> & value) : name_(name) {
        if (const char * before = std::getenv(name)) before_ = before;
        set(value);
    }
    ~Variable() { set(before_); }
    Variable(const Variable &) = delete;
    Variable & operator=(const Variable &) = delete;

private:
    void set(const std::optional<std::string> & value) const {
        if (value) {
            setenv(name_, value->c_str(), 1);
        } else {
            unsetenv(name_);
        }
    }

    const char * name_;
    std::optional<std::string> before_;
};

}  // namespace shimmy::e2e

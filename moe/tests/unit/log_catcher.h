// What is logged through ggml while it exists.
#pragma once

#include <string>

#include "ggml.h"

class LogCatcher {
public:
    LogCatcher() { ggml_log_set(add, this); }
    ~LogCatcher() { ggml_log_set(nullptr, nullptr); }
    LogCatcher(const LogCatcher &) = delete;
    LogCatcher & operator=(const LogCatcher &) = delete;

    const std::string & text() const { return text_; }
    int warnings() const { return warnings_; }
    ggml_log_level level() const { return level_; }  // of the last message

private:
    static void add(ggml_log_level level, const char * text, void * self) {
        static_cast<LogCatcher *>(self)->text_ += text;
        static_cast<LogCatcher *>(self)->level_ = level;
        static_cast<LogCatcher *>(self)->warnings_ += level == GGML_LOG_LEVEL_WARN;
    }
    std::string text_;
    int warnings_ = 0;
    ggml_log_level level_ = GGML_LOG_LEVEL_NONE;
};

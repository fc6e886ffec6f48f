#include "log.h"

#include <cstdarg>
#include <cstdio>

#include "ggml-impl.h"

namespace moe {

static void emit(ggml_log_level level, const char * fmt, va_list args) {
    char text[512];
    std::vsnprintf(text, sizeof text, fmt, args);
    ggml_log_internal(level, "ggml-moe: %s", text);
}

void log_warn(const char * fmt, ...) {
    va_list args;
    va_start(args, fmt);
    emit(GGML_LOG_LEVEL_WARN, fmt, args);
    va_end(args);
}

void log_error(const char * fmt, ...) {
    va_list args;
    va_start(args, fmt);
    emit(GGML_LOG_LEVEL_ERROR, fmt, args);
    va_end(args);
}

}  // namespace moe

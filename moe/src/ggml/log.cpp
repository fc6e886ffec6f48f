#include "log.h"

#include <cstdarg>
#include <cstdio>

#include "ggml.h"

// Declared in ggml-impl.h, which llama.cpp's packages leave out, and exported by libggml-base.
extern "C" {
GGML_API void ggml_log_internal(enum ggml_log_level level, const char * format, ...);
}

namespace moe {

MOE_PRINTF(2, 0) static void emit(ggml_log_level level, const char * fmt, va_list args) {
    char text[512];
    std::vsnprintf(text, sizeof text, fmt, args);
    ggml_log_internal(level, "ggml-moe: %s", text);
}

void log_info(const char * fmt, ...) {
    va_list args;
    va_start(args, fmt);
    emit(GGML_LOG_LEVEL_INFO, fmt, args);
    va_end(args);
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

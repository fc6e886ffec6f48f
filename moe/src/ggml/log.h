// Messages go through ggml's logger, so the host program decides where they end up. Never stdout.
#pragma once

#if defined(__GNUC__)
#define MOE_PRINTF(a, b) __attribute__((format(printf, a, b)))
#else
#define MOE_PRINTF(a, b)
#endif

namespace moe {

void log_info(const char * fmt, ...) MOE_PRINTF(1, 2);
void log_warn(const char * fmt, ...) MOE_PRINTF(1, 2);
void log_error(const char * fmt, ...) MOE_PRINTF(1, 2);

}  // namespace moe

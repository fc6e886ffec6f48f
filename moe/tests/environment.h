// The environment, as tests set it: Windows' C runtime has another name for it.
#pragma once

#include <cstdlib>

namespace moe_test {

// Where programs keep what can be made again.
#if defined(_WIN32)
constexpr const char * CACHE_FOLDER = "LOCALAPPDATA";
#else
constexpr const char * CACHE_FOLDER = "XDG_CACHE_HOME";
#endif

inline void set_variable(const char * name, const char * value) {
#if defined(_WIN32)
    _putenv_s(name, value);
#else
    setenv(name, value, 1);
#endif
}

inline void unset_variable(const char * name) {
#if defined(_WIN32)
    _putenv_s(name, "");
#else
    unsetenv(name);
#endif
}

}  // namespace moe_test

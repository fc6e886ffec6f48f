#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "process.h"

namespace moe::os {

void * find_loaded(const char * library, const char * name) {
    void * handle = dlopen(library, RTLD_LAZY | RTLD_NOLOAD);
    return handle == nullptr ? nullptr : dlsym(handle, name);
}

std::string arguments() {
    std::ostringstream all;
    all << std::ifstream("/proc/self/cmdline", std::ios::binary).rdbuf();
    return all.str();
}

void set_default(const char * variable, const char * value) {
    setenv(variable, value, 0);
}

std::string cache_folder() {
    const char * cache = std::getenv("XDG_CACHE_HOME");
    if (cache != nullptr && *cache == '/') return cache;
    const char * home = std::getenv("HOME");
    return home != nullptr && *home == '/' ? std::string(home) + "/.cache" : "";
}

int id() {
    return getpid();
}

}  // namespace moe::os

// Ends a fuzzer with what is wrong.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

namespace shimmy::fuzz {

[[noreturn]] inline void complain(const char * what, const std::string & detail) {
    std::fprintf(stderr, "%s: %s\n", what, detail.c_str());
    std::abort();
}

}  // namespace shimmy::fuzz

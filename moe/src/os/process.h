// The process that the plugin is loaded into: process_posix.cpp, process_windows.cpp.
#pragma once

#include <string>

namespace moe::os {

// A name in a library that the process has loaded already; null otherwise.
void * find_loaded(const char * library, const char * name);

// The arguments that it was started with, each with a NUL after it; empty where they cannot be had.
std::string arguments();

// Of the environment, unless it is set.
void set_default(const char * variable, const char * value);

// Where this user's programs keep what can be made again, without a slash at the end; empty if there is no such place.
std::string cache_folder();

int id();

}  // namespace moe::os

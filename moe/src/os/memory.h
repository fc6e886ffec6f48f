// Memory as the operating system gives it: memory_posix.cpp, memory_windows.cpp.
#pragma once

#include <cstddef>

namespace moe::os {

// At a multiple of `alignment`, a power of two; null if there is none. Only give_back() frees it.
void * allocate(size_t alignment, size_t bytes);
void give_back(void * memory);

// Addresses of whole pages, zero, which take RAM once they are touched, in large pages where there are any; null if
// there are none.
void * reserve(size_t bytes);
void release(void * memory, size_t bytes);

// Whole pages. What the system makes of it is its own affair.
enum class Advice { NEEDED_SOON, NOT_NEEDED };
void advise(void * pages, size_t bytes, Advice advice);

// Keeps whole pages in RAM; false if it may not.
bool lock(void * pages, size_t bytes);

}  // namespace moe::os

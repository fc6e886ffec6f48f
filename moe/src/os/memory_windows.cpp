#include <windows.h>

#include <malloc.h>

#include "memory.h"

namespace moe::os {

void * allocate(size_t alignment, size_t bytes) {
    return _aligned_malloc(bytes, alignment);
}

void give_back(void * memory) {
    _aligned_free(memory);
}

void * reserve(size_t bytes) {
    return VirtualAlloc(nullptr, bytes, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
}

void release(void * memory, size_t) {
    VirtualFree(memory, 0, MEM_RELEASE);
}

// Windows 8 and later would take advice; nothing that gives any runs here (disk/model_file_windows.cpp).
void advise(void *, size_t, Advice) {}

bool lock(void * pages, size_t bytes) {
    return VirtualLock(pages, bytes) != 0;
}

}  // namespace moe::os

#include <sys/mman.h>

#include <cstdlib>

#include "memory.h"

namespace moe::os {

void * allocate(size_t alignment, size_t bytes) {
    return std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}

void give_back(void * memory) {
    std::free(memory);
}

void * reserve(size_t bytes) {
    void * memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return nullptr;
    madvise(memory, bytes, MADV_HUGEPAGE);
    return memory;
}

void release(void * memory, size_t bytes) {
    munmap(memory, bytes);
}

void advise(void * pages, size_t bytes, Advice advice) {
    madvise(pages, bytes, advice == Advice::NEEDED_SOON ? MADV_WILLNEED : MADV_DONTNEED);
}

bool lock(void * pages, size_t bytes) {
    return mlock(pages, bytes) == 0;
}

}  // namespace moe::os

// What the tests of the kernels share: the tables that this machine can run, and memory that ends where it ends.
#pragma once

#if defined(_WIN32)
#include <windows.h>
#else
#include <sys/mman.h>
#include <unistd.h>
#endif

#include <cstdint>
#include <cstring>
#include <vector>

#include "kernels/kernels.h"

inline std::vector<const moe::KernelTable *> tables() {
    std::vector<const moe::KernelTable *> all;
    for (const char * name :
         {"scalar", "avx2", "avxvnni", "avx512", "avx512vbmi", "avx512bf16", "amx", "dotprod", "i8mm"}) {
        if (const moe::KernelTable * t = moe::kernels_by_name(name)) all.push_back(t);
    }
    return all;
}

// Bytes right before a page that nobody may touch: reading or writing past the end is a fault. `align`: of the first
// byte; where the size is not a multiple of it, so much of the end is open.
class Guarded {
public:
    explicit Guarded(size_t bytes, size_t align = 1) : bytes_(bytes) {
#if defined(_WIN32)
        const size_t page = 4096, whole = (bytes + align + page - 1) / page * page;
        length_ = whole + page;
        base_ = static_cast<uint8_t *>(VirtualAlloc(nullptr, length_, MEM_RESERVE, PAGE_NOACCESS));
        VirtualAlloc(base_, whole, MEM_COMMIT, PAGE_READWRITE);
#else
        const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
        const size_t whole = (bytes + align + page - 1) / page * page;
        length_ = whole + page;
        base_ =
            static_cast<uint8_t *>(mmap(nullptr, length_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        mprotect(base_ + whole, page, PROT_NONE);
#endif
        data_ = base_ + (whole - bytes) / align * align;
    }
    Guarded(const void * from, size_t bytes, size_t align = 1) : Guarded(bytes, align) {
        std::memcpy(data_, from, bytes);
    }
    ~Guarded() {
#if defined(_WIN32)
        VirtualFree(base_, 0, MEM_RELEASE);  // all of it, as the 0 says
#else
        munmap(base_, length_);
#endif
    }
    Guarded(const Guarded &) = delete;
    Guarded & operator=(const Guarded &) = delete;

    uint8_t * data() const {
        return data_;
    }
    size_t size() const {
        return bytes_;
    }
    float * floats() const {
        return reinterpret_cast<float *>(data_);
    }

private:
    size_t bytes_ = 0;
    [[maybe_unused]] size_t length_ = 0;
    uint8_t *base_ = nullptr, *data_ = nullptr;
};

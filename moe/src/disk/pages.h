// Ranges of memory in whole pages, as the kernel takes them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "model_file.h"
#include "os/memory.h"

namespace moe {

// Whole pages inside, or around, a range.
struct Pages {
    uintptr_t begin, end;
    static Pages inside(const void * first, size_t bytes) {
        const auto a = reinterpret_cast<uintptr_t>(first);
        return {(a + ModelFile::PAGE - 1) / ModelFile::PAGE * ModelFile::PAGE,
                (a + bytes) / ModelFile::PAGE * ModelFile::PAGE};
    }
    static Pages around(const void * first, size_t bytes) {
        const auto a = reinterpret_cast<uintptr_t>(first);
        return {a / ModelFile::PAGE * ModelFile::PAGE,
                (a + bytes + ModelFile::PAGE - 1) / ModelFile::PAGE * ModelFile::PAGE};
    }
    void * data() const { return reinterpret_cast<void *>(begin); }
    size_t bytes() const { return end > begin ? end - begin : 0; }
};

inline void advise(Pages pages, os::Advice advice) {
    if (pages.bytes() > 0) os::advise(pages.data(), pages.bytes(), advice);
}

}  // namespace moe

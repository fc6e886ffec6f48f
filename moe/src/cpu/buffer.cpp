#include "buffer.h"

#include <cstdlib>
#include <new>

namespace moe {

Buffer::~Buffer() {
    std::free(data_);
}

void * Buffer::need(size_t bytes) {
    if (bytes > size_) {
        const size_t size = (bytes + bytes / 4 + 4095) / 4096 * 4096;
        void * p = std::aligned_alloc(64, size);
        if (p == nullptr) throw std::bad_alloc();
        std::free(data_);
        data_ = p;
        size_ = size;
    }
    return data_;
}

}  // namespace moe

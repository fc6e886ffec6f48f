#include "buffer.h"

#include <new>

#include "os/memory.h"

namespace moe {

Buffer::~Buffer() {
    os::give_back(data_);
}

void * Buffer::need(size_t bytes) {
    if (bytes > size_) {
        const size_t size = (bytes + bytes / 4 + 4095) / 4096 * 4096;
        void * p = os::allocate(64, size);
        if (p == nullptr) throw std::bad_alloc();
        os::give_back(data_);
        data_ = p;
        size_ = size;
    }
    return data_;
}

}  // namespace moe

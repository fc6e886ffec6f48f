// Memory that only grows, so that a repeated graph allocates nothing.
#pragma once

#include <cstddef>

namespace moe {

class Buffer {
public:
    Buffer() = default;
    ~Buffer();
    Buffer(const Buffer &) = delete;
    Buffer & operator=(const Buffer &) = delete;

    void * need(size_t bytes);  // 64-byte aligned; what it held is lost if it grows; throws std::bad_alloc
    template <class T>
    T * array(size_t n) {
        return static_cast<T *>(need(n * sizeof(T)));
    }

private:
    void * data_ = nullptr;
    size_t size_ = 0;
};

}  // namespace moe

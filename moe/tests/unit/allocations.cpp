#include "allocations.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<size_t> count{0};

void * allocate(size_t bytes) {
    ++count;
    void * p = std::malloc(bytes);
    if (p == nullptr) throw std::bad_alloc();
    return p;
}

}  // namespace

size_t moe_test::allocations() {
    return count;
}

void * operator new(size_t bytes) {
    return allocate(bytes);
}
void * operator new[](size_t bytes) {
    return allocate(bytes);
}
// Sanitizers have their own of these, which do not go together with the ones here.
void * operator new(size_t bytes, const std::nothrow_t &) noexcept {
    ++count;
    return std::malloc(bytes);
}
void * operator new[](size_t bytes, const std::nothrow_t &) noexcept {
    ++count;
    return std::malloc(bytes);
}
void operator delete(void * p, const std::nothrow_t &) noexcept {
    std::free(p);
}
void operator delete[](void * p, const std::nothrow_t &) noexcept {
    std::free(p);
}
void operator delete(void * p) noexcept {
    std::free(p);
}
void operator delete[](void * p) noexcept {
    std::free(p);
}
void operator delete(void * p, size_t) noexcept {
    std::free(p);
}
void operator delete[](void * p, size_t) noexcept {
    std::free(p);
}

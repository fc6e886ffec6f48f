// Marks code that allocates nothing, such as what decoding adds to each token. It costs an increment; a test program
// that replaces operator new (tests/decode/decode_test.cpp) makes an allocation in such code fatal.
#pragma once

namespace shimmy {

class NoAllocation {
public:
    NoAllocation() noexcept { ++depth; }
    ~NoAllocation() { --depth; }
    NoAllocation(const NoAllocation &) = delete;
    NoAllocation & operator=(const NoAllocation &) = delete;

    // On this thread, now.
    static bool is_promised() noexcept { return depth > 0; }

private:
    static inline thread_local int depth = 0;
};

}  // namespace shimmy

// Work whose length a file decides and that cannot be interrupted: a program in it (a chat template) may loop for ever.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

namespace shimmy {

// While one lives, such work is done. What takes too long or too much memory ends the process with `reason`, as a fault
// does (base/last_words.h). Does nothing without install_last_words() (a server ends its processes in its own way).
class BoundedWork {
public:
    static constexpr std::chrono::seconds TIME_LIMIT{10};        // honest templates take milliseconds
    static constexpr uint64_t MEMORY_LIMIT = uint64_t{2} << 30;  // bytes beyond those at its beginning

    explicit BoundedWork(std::string_view reason);  // text that lives as long
    ~BoundedWork();
    BoundedWork(const BoundedWork &) = delete;
    BoundedWork & operator=(const BoundedWork &) = delete;

private:
    bool active_;
};

}  // namespace shimmy

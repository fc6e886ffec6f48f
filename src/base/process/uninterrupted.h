// System calls that wait, where a signal is no reason to stop waiting.
#pragma once

#include <cerrno>

namespace shimmy {

// Calls again as long as a signal ends the call. Returns its result, with errno set if that is negative.
template <typename Call>
auto uninterrupted(Call call) {
    auto result = call();
    while (result < 0 && errno == EINTR)
        result = call();
    return result;
}

}  // namespace shimmy

// What a call that must fail says.
#pragma once

#include "base/error.h"

#include <string>

namespace shimmy::engine {

// Empty if it does not fail.
inline std::string error_of(const auto & call) {
    try {
        call();
    } catch (const Error & error) {
        return error.what();
    }
    return "";
}

}  // namespace shimmy::engine

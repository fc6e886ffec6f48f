// A member of a request's JSON, and its refusal.
#pragma once

#include "base/json.h"
#include "serve/http/http_error.h"

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace shimmy::serve {

[[noreturn]] inline void refuse(std::string_view member, const std::string & why) {
    throw HttpError(400, fmt::format("\"{}\" {}", member, why));
}

// nullptr where the member is absent or null.
inline const Json * find_member(const Json & object, const char * key) {
    if (!object.is_object()) return nullptr;
    const auto member = object.find(key);
    return member == object.end() || member->is_null() ? nullptr : &*member;
}

}  // namespace shimmy::serve

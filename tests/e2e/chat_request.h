// What several tests ask a server.
#pragma once

#include "base/json.h"

namespace shimmy::e2e {

inline constexpr const char * CHAT = "/v1/chat/completions";

inline const Json & question() {
    static const Json messages = Json::array({{{"role", "user"}, {"content", "Explain gradient descent"}}});
    return messages;
}

}  // namespace shimmy::e2e

// What several tests ask a server.
#pragma once

#include "base/json.h"

#include <sstream>
#include <string>
#include <vector>

namespace shimmy::e2e {

inline constexpr const char * CHAT = "/v1/chat/completions";

inline const Json & question() {
    static const Json messages = Json::array({{{"role", "user"}, {"content", "Explain gradient descent"}}});
    return messages;
}

// The data of server-sent events, but for the last "[DONE]".
inline std::vector<Json> events_of(const std::string & body) {
    std::vector<Json> events;
    std::istringstream lines(body);
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("data: {")) events.push_back(Json::parse(line.substr(6)));
    }
    return events;
}

}  // namespace shimmy::e2e

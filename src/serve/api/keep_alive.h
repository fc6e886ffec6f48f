// How long a model is kept after its last request, as Ollama's clients say it.
#pragma once

#include "base/json.h"

#include <chrono>
#include <optional>

namespace shimmy::serve {

struct KeepAlive {
    std::optional<std::chrono::milliseconds> time;  // nullopt: for ever
};

// Of "keep_alive": a number of seconds, or Go's durations ("5m", "1h30m", "500ms"); below zero: for ever. nullopt for
// null: nothing is said. Throws HttpError 400 for anything else.
std::optional<KeepAlive> keep_alive_of(const Json & value);

}  // namespace shimmy::serve

#include "serve/api/keep_alive.h"

#include "base/text/units.h"
#include "serve/http/http_error.h"

#include <string>

namespace shimmy::serve {

namespace {

constexpr double LONGEST_MS = 1e12;  // three decades: as good as for ever

[[noreturn]] void refuse_keep_alive(const Json & value) {
    throw HttpError(400, fmt::format("\"keep_alive\" must be seconds or a duration such as \"5m\", not {}",
                                     value.dump(-1, ' ', false, Json::error_handler_t::replace)));
}

}  // namespace

std::optional<KeepAlive> keep_alive_of(const Json & value) {
    if (value.is_null()) return std::nullopt;
    std::optional<double> ms;
    if (value.is_number())
        ms = value.get<double>() * 1e3;
    else if (value.is_string())
        ms = parse_duration_ms(value.get<std::string>());
    if (!ms) refuse_keep_alive(value);
    if (*ms < 0.0 || *ms > LONGEST_MS) return KeepAlive{std::nullopt};
    return KeepAlive{std::chrono::milliseconds(static_cast<int64_t>(*ms))};
}

}  // namespace shimmy::serve

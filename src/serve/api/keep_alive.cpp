#include "serve/api/keep_alive.h"

#include "serve/http/http_error.h"

#include <array>
#include <cctype>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

namespace shimmy::serve {

namespace {

constexpr double LONGEST_MS = 1e12;  // three decades: as good as for ever

[[noreturn]] void refuse(const Json & value) {
    throw HttpError(400, fmt::format("\"keep_alive\" must be seconds or a duration such as \"5m\", not {}",
                                     value.dump(-1, ' ', false, Json::error_handler_t::replace)));
}

// A longer unit stands before those that it begins like.
constexpr std::array<std::pair<std::string_view, double>, 7> UNITS{
    {{"ms", 1.0}, {"us", 1e-3}, {"\u00b5s", 1e-3}, {"ns", 1e-6}, {"h", 3600e3}, {"m", 60e3}, {"s", 1e3}}};

std::optional<double> parse_ms(std::string_view text) {
    double sign = 1.0;
    if (text.starts_with('-') || text.starts_with('+')) {
        sign = text.front() == '-' ? -1.0 : 1.0;
        text.remove_prefix(1);
    }
    if (text == "0") return 0.0;
    if (text.empty()) return std::nullopt;
    double sum = 0.0;
    while (!text.empty()) {
        const size_t n_digits = std::min(text.find_first_not_of("0123456789."), text.size());
        const std::string number(text.substr(0, n_digits));
        char * end = nullptr;
        const double count = std::strtod(number.c_str(), &end);
        if (number.empty() || *end != '\0' || number == ".") return std::nullopt;
        text.remove_prefix(n_digits);
        double unit_ms = 0.0;
        for (const auto & [unit, ms] : UNITS) {
            if (unit_ms != 0.0 || !text.starts_with(unit)) continue;
            unit_ms = ms;
            text.remove_prefix(unit.size());
        }
        if (unit_ms == 0.0) return std::nullopt;
        sum += count * unit_ms;
    }
    return sign * sum;
}

}  // namespace

std::optional<KeepAlive> keep_alive_of(const Json & value) {
    if (value.is_null()) return std::nullopt;
    std::optional<double> ms;
    if (value.is_number())
        ms = value.get<double>() * 1e3;
    else if (value.is_string())
        ms = parse_ms(value.get<std::string>());
    if (!ms) refuse(value);
    if (*ms < 0.0 || *ms > LONGEST_MS) return KeepAlive{std::nullopt};
    return KeepAlive{std::chrono::milliseconds(static_cast<int64_t>(*ms))};
}

}  // namespace shimmy::serve

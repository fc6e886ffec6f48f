#include "cli/numbers.h"

#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <string>

namespace shimmy::cli {

namespace {

// `objection`: what is wrong with a number, "" if nothing is.
CLI::Validator number(const std::string & description, std::function<std::string(double)> objection) {
    const auto check = [objection = std::move(objection)](const std::string & text) {
        double value = 0.0;
        if (!CLI::detail::lexical_cast(text, value) || !std::isfinite(value))
            return fmt::format("{} is not a number", text);
        const std::string wrong = objection(value);
        return wrong.empty() ? wrong : fmt::format("{} {}", text, wrong);
    };
    return CLI::Validator(check, description);
}

}  // namespace

CLI::Validator at_least_zero() {
    return number("0 or more", [](double value) { return value < 0.0 ? "must not be negative" : ""; });
}

CLI::Validator above_zero() {
    return number("more than 0", [](double value) { return value <= 0.0 ? "must be above 0" : ""; });
}

CLI::Validator from_to(double least, double most) {
    return number(fmt::format("{} to {}", least, most), [least, most](double value) {
        return value < least || value > most ? fmt::format("must be from {} to {}", least, most) : "";
    });
}

}  // namespace shimmy::cli

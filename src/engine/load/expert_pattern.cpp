#include "engine/load/expert_pattern.h"

#include "common.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <vector>

namespace shimmy::engine {

namespace {

// One digit. Alternatives and no bracket, for which std::regex looks up the order of all 256 characters.
std::string digit(char first, char last) {
    std::string text = "(?:";
    for (char d = first; d <= last; ++d) {
        text += d;
        text += d == last ? ')' : '|';
    }
    return text;
}

std::string any_digits(size_t n) {
    std::string text;
    for (size_t i = 0; i < n; ++i)
        text += digit('0', '9');
    return text;
}

// Numbers from 0 to below `end`, without leading zeros, as alternatives: for 123, of one digit, of two, of three that
// begin with 10 or 11, and of three that begin with 12 and end with 0 to 2.
std::vector<std::string> numbers_below(int end) {
    const std::string digits = std::to_string(end);
    std::vector<std::string> alternatives;
    for (size_t n_digits = 1; n_digits < digits.size(); ++n_digits)  // the shorter ones
        alternatives.push_back(digit(n_digits == 1 ? '0' : '1', '9') + any_digits(n_digits - 1));
    for (size_t i = 0; i < digits.size(); ++i) {  // those that first differ from `end` in digit i
        const char least = i == 0 && digits.size() > 1 ? '1' : '0';
        if (digits[i] > least)
            alternatives.push_back(digits.substr(0, i) + digit(least, static_cast<char>(digits[i] - 1)) +
                                   any_digits(digits.size() - 1 - i));
    }
    return alternatives;
}

}  // namespace

std::string experts_below(int n_layers) {
    return fmt::format("blk\\.(?:{}){}", fmt::join(numbers_below(n_layers), "|"), LLM_FFN_EXPS_REGEX);
}

}  // namespace shimmy::engine

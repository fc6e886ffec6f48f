#include "eval/answer.h"

#include "base/text/text.h"
#include "eval/trim.h"

#include <algorithm>
#include <string_view>

namespace shimmy::eval {

namespace {

constexpr const char * MARK = "#### ";
constexpr std::string_view DIGITS = "0123456789";

std::string plain(const std::string & text) {
    const size_t mark = text.rfind(MARK);
    std::string result = mark == std::string::npos ? text : text.substr(mark + std::string(MARK).size());
    std::erase_if(result, [](char c) { return c == ',' || c == '$'; });
    result = trimmed(result);
    if (result.ends_with('.')) result.pop_back();
    return lower(result);
}

// The characters of `allowed` from `at` on, behind a minus if there is one.
std::string signed_run(const std::string & text, size_t at, std::string_view allowed) {
    const size_t begin = at < text.size() && text[at] == '-' ? at + 1 : at;
    const size_t end = std::min(text.find_first_not_of(allowed, begin), text.size());
    return end == begin ? "" : text.substr(at, end - at);
}

bool is_number(const std::string & text) {
    const std::string whole = signed_run(text, 0, DIGITS);
    if (whole.empty() || whole.size() == text.size()) return !whole.empty();
    return text[whole.size()] == '.' &&
           signed_run(text, whole.size() + 1, DIGITS).size() == text.size() - whole.size() - 1;
}

// Two characters of an amount at least, or a digit: lm-evaluation-harness's filter "flexible-extract".
std::string amount_at(const std::string & text, size_t at) {
    const std::string amount = signed_run(text, at, "$0123456789.,");
    const size_t n_signs = amount.starts_with('-') ? 1 : 0;
    return amount.size() - n_signs >= 2 ? amount : signed_run(text, at, DIGITS);
}

}  // namespace

std::string final_answer(const std::string & right) {
    return plain(right);
}

std::optional<std::string> strict_answer(const std::string & given, const std::string & right) {
    if (right.find(MARK) == std::string::npos) {
        const std::string text = trimmed(given);
        const std::string line = trimmed(text.substr(0, text.find('\n')));
        return line.empty() ? std::nullopt : std::optional(line);
    }
    for (size_t at = 0; (at = given.find(MARK, at)) != std::string::npos;) {
        at += std::string(MARK).size();
        const std::string number = signed_run(given, at, "0123456789.,");
        if (!number.empty()) return number;
    }
    return std::nullopt;
}

std::optional<std::string> flexible_answer(const std::string & given, const std::string & right) {
    if (!is_number(final_answer(right))) return strict_answer(given, right);
    std::optional<std::string> last;
    for (size_t at = 0; at < given.size();) {
        const std::string amount = amount_at(given, at);
        if (!amount.empty()) last = amount;
        at += std::max<size_t>(amount.size(), 1);
    }
    return last;
}

bool same_answer(const std::string & a, const std::string & b) {
    return plain(a) == plain(b);
}

}  // namespace shimmy::eval

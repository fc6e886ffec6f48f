#include "serve/bounds/pattern.h"

#include "base/error.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace shimmy::serve {

namespace {

constexpr int MAX_GROUP_DEPTH = 64;  // of groups
constexpr uint32_t LAST_CHARACTER = 0x10FFFF;

// ---- Characters as JSON has them in a string ----

bool is_plain(uint32_t c) {
    return c < 0x80 && std::isalnum(static_cast<int>(c)) != 0;
}

// A character in a pattern of llama.cpp's.
std::string escaped(uint32_t c) {
    if (is_plain(c)) return std::string(1, static_cast<char>(c));
    return c <= 0xFFFF ? fmt::format("\\u{:04X}", c) : fmt::format("\\U{:08X}", c);
}

// What JSON writes for a character that it does not let stand; empty: it does.
std::string json_escape(uint32_t c) {
    switch (c) {
        case '"':
            return "\\\"";
        case '\\':
            return "\\\\";
        case '\b':
            return "\\b";
        case '\f':
            return "\\f";
        case '\n':
            return "\\n";
        case '\r':
            return "\\r";
        case '\t':
            return "\\t";
        default:
            return c < 0x20 ? fmt::format("\\u{:04x}", c) : "";
    }
}

std::string literal(uint32_t c) {
    const std::string escape = json_escape(c);
    if (escape.empty()) return escaped(c);
    std::string pattern;
    for (const char part : escape)
        pattern += part == '\\' ? "\\\\" : std::string(1, part);
    return pattern;
}

// ---- Sets of characters ----

using Range = std::pair<uint32_t, uint32_t>;  // both ends included

class CharacterSet {
public:
    CharacterSet() = default;
    CharacterSet(std::initializer_list<Range> ranges) : ranges_(ranges) {}

    void add(uint32_t first, uint32_t last) { ranges_.push_back({first, last}); }
    void add(const CharacterSet & other) { ranges_.insert(ranges_.end(), other.ranges_.begin(), other.ranges_.end()); }
    bool empty() const { return ranges_.empty(); }

    CharacterSet complement() const {
        CharacterSet result;
        uint32_t next = 0;
        for (const auto & [first, last] : sorted()) {
            if (first > next) result.add(next, first - 1);
            next = std::max(next, last + 1);
        }
        if (next <= LAST_CHARACTER) result.add(next, LAST_CHARACTER);
        return result;
    }

    // As a group of llama.cpp's: those that JSON lets stand, and the escapes of the others.
    std::string pattern() const {
        std::string escapes;
        for (const uint32_t c : {'"', '\\', '\b', '\f', '\n', '\r', '\t'}) {
            if (contains(c)) escapes += "|" + literal(c);
        }
        CharacterSet outside = complement();
        for (const auto & [first, last] : {Range{0, 0x1F}, Range{'"', '"'}, Range{'\\', '\\'}, Range{0xD800, 0xDFFF}})
            outside.add(first, last);
        std::string inside;
        for (const auto & [first, last] : outside.complement().ranges_)
            inside += escaped(first) + (first == last ? "" : "-" + escaped(last));
        if (inside.empty() && escapes.empty()) fail("a set without any character");
        return inside.empty() ? "(" + escapes.substr(1) + ")" : "([" + inside + "]" + escapes + ")";
    }

private:
    bool contains(uint32_t c) const {
        return std::any_of(ranges_.begin(), ranges_.end(),
                           [&](const Range & range) { return range.first <= c && c <= range.second; });
    }
    std::vector<Range> sorted() const {
        std::vector<Range> ranges = ranges_;
        std::sort(ranges.begin(), ranges.end());
        return ranges;
    }

    std::vector<Range> ranges_;
};

const CharacterSet DIGITS{{'0', '9'}};
const CharacterSet WORD{{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
const CharacterSet SPACE{{'\t', '\r'},     {' ', ' '},       {0xA0, 0xA0},     {0x1680, 0x1680}, {0x2000, 0x200A},
                         {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
const CharacterSet LINE_ENDS{{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};

std::optional<CharacterSet> class_of(char letter) {
    switch (letter) {
        case 'd':
            return DIGITS;
        case 'w':
            return WORD;
        case 's':
            return SPACE;
        case 'D':
            return DIGITS.complement();
        case 'W':
            return WORD.complement();
        case 'S':
            return SPACE.complement();
        default:
            return std::nullopt;
    }
}

// ---- Reading ----

class PatternReader {
public:
    explicit PatternReader(std::string_view text) : text_(text) {}

    std::string whole() {
        const std::string anything = LINE_ENDS.complement().pattern() + "*";
        std::vector<std::string> alternatives;
        do {
            const bool begins = skip("^");
            std::string one = sequence();
            const bool ends = skip("$");
            if (!at_end() && peek() == ')') fail("a bracket that was not opened");
            if (!at_end() && peek() != '|') fail("an anchor inside");
            if (!begins) one = anything + one;
            if (!ends) one += anything;
            alternatives.push_back(one);
        } while (skip("|"));
        if (alternatives.size() == 1) return "^" + alternatives.front() + "$";
        return fmt::format("^({})$", fmt::join(alternatives, "|"));
    }

private:
    bool at_end() const { return at_ >= text_.size(); }
    char peek() const { return text_[at_]; }
    bool skip(std::string_view what) {
        if (!text_.substr(at_).starts_with(what)) return false;
        at_ += what.size();
        return true;
    }

    // To the end, or where something stands that is none of it.
    std::string sequence() {
        std::string all;
        while (!at_end() && peek() != '|' && peek() != ')' && peek() != '$') {
            if (peek() == '^') fail("an anchor inside");
            if (peek() == '*' || peek() == '+' || peek() == '?') fail("nothing to repeat");
            const std::string one = atom();
            const std::string times = quantifier();
            all += times.empty() || one.starts_with('(') ? one + times : "(" + one + ")" + times;
        }
        return all;
    }

    std::string group() {
        if (++depth_ > MAX_GROUP_DEPTH) fail("brackets more than {} deep", MAX_GROUP_DEPTH);
        if (skip("?")) {
            const bool named = text_.substr(at_).starts_with("<") && !text_.substr(at_).starts_with("<=") &&
                               !text_.substr(at_).starts_with("<!");
            if (named)
                at_ = std::min(text_.find('>', at_), text_.size() - 1) + 1;
            else if (!skip(":"))
                fail("lookaround and flags");
        }
        std::string all = "(" + sequence();
        while (skip("|"))
            all += "|" + sequence();
        if (!at_end() && peek() == '$') fail("an anchor inside");
        if (!skip(")")) fail("a bracket that is not closed");
        --depth_;
        return all + ")";
    }

    std::string atom() {
        if (skip("(")) return group();
        if (skip("[")) return set();
        if (skip(".")) return LINE_ENDS.complement().pattern();
        if (!skip("\\")) return literal(character());
        if (at_end()) fail("a backslash at the end");
        if (const auto known = class_of(peek())) {
            ++at_;
            return known->pattern();
        }
        return literal(escape());
    }

    std::string set() {
        const bool negated = skip("^");
        CharacterSet all;
        while (!skip("]")) {
            if (at_end()) fail("a set that is not closed");
            const auto [first, known] = member();
            if (known) {
                all.add(*known);
                continue;
            }
            if (text_.substr(at_).starts_with("-]") || !skip("-")) {
                all.add(first, first);
                continue;
            }
            if (at_end()) fail("a set that is not closed");
            const auto [last, other] = member();
            if (other || last < first) fail("a range that is none");
            all.add(first, last);
        }
        return (negated ? all.complement() : all).pattern();
    }

    // Of a set: a character, or a class.
    std::pair<uint32_t, std::optional<CharacterSet>> member() {
        if (!skip("\\")) return {character(), std::nullopt};
        if (at_end()) fail("a backslash at the end");
        if (const auto known = class_of(peek())) {
            ++at_;
            return {0, known};
        }
        if (skip("b")) return {'\b', std::nullopt};
        return {escape(), std::nullopt};
    }

    // What stands behind a backslash.
    uint32_t escape() {
        const char c = text_[at_++];
        switch (c) {
            case 't':
                return '\t';
            case 'n':
                return '\n';
            case 'r':
                return '\r';
            case 'f':
                return '\f';
            case 'v':
                return '\v';
            case 'x':
                return hexadecimal(2);
            case 'u': {
                const uint32_t code = hexadecimal(4);
                if (code >= 0xD800 && code <= 0xDFFF) fail("half a character (\\u{:04X})", code);
                return code;
            }
            default:
                if (std::isalnum(static_cast<unsigned char>(c)) != 0) fail("\\{}", c);
                --at_;
                return character();
        }
    }

    uint32_t hexadecimal(size_t n_digits) {
        const std::string_view digits = text_.substr(at_, n_digits);
        const bool right = digits.size() == n_digits && std::all_of(digits.begin(), digits.end(), [](unsigned char c) {
                               return std::isxdigit(c) != 0;
                           });
        if (!right) fail("a \\u or \\x without its digits");
        at_ += n_digits;
        return static_cast<uint32_t>(std::stoul(std::string(digits), nullptr, 16));
    }

    // One of UTF-8, as it stands.
    uint32_t character() {
        const auto first = static_cast<unsigned char>(text_[at_++]);
        if (first < 0x80) return first;
        const int n_more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
        uint32_t code = first & (0x3F >> n_more);
        for (int i = 0; i < n_more; ++i) {
            if (at_end()) fail("text that is no UTF-8");
            code = (code << 6) | (static_cast<unsigned char>(text_[at_++]) & 0x3F);
        }
        if (code > LAST_CHARACTER) fail("text that is no UTF-8");
        return code;
    }

    // "*", "+", "?", "{m}", "{m,}", "{m,n}", as greedy as they may be: which texts match is the same. A "{" that begins
    // none of them stands for itself.
    std::string quantifier() {
        std::string times;
        if (at_end()) return times;
        if (peek() == '*' || peek() == '+' || peek() == '?') {
            times = text_[at_++];
        } else if (peek() == '{') {
            const size_t end = text_.find('}', at_);
            if (end == std::string_view::npos) return times;
            const std::string_view inside = text_.substr(at_ + 1, end - at_ - 1);
            const bool counts = !inside.empty() && std::isdigit(static_cast<unsigned char>(inside.front())) != 0 &&
                                inside.find_first_not_of("0123456789,") == std::string_view::npos &&
                                std::count(inside.begin(), inside.end(), ',') <= 1;
            if (!counts) return times;
            times = fmt::format("{{{}}}", inside);
            at_ = end + 1;
        }
        if (!times.empty()) skip("?");
        return times;
    }

    std::string_view text_;
    size_t at_ = 0;
    int depth_ = 0;
};

}  // namespace

std::string enforceable_pattern(const std::string & pattern) {
    return PatternReader(pattern).whole();
}

}  // namespace shimmy::serve

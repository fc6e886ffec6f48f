#include "serve/bounds/grammar_bounds.h"

#include "serve/http/request.h"

#include <cctype>
#include <cmath>
#include <optional>
#include <string_view>
#include <utility>

namespace shimmy::serve {

namespace {

constexpr size_t MAX_GRAMMAR_BYTES = size_t{256} << 10;
constexpr size_t MAX_PATTERN_BYTES = size_t{4} << 10;
constexpr int MAX_OPEN_BRACKETS = 64;        // of brackets
constexpr uint64_t MAX_REPETITION = 2000;    // llama.cpp's own limit for one
constexpr uint64_t MAX_REPETITIONS = 20000;  // of all together, each written out as a rule
constexpr size_t MAX_RULES = 5000;
constexpr size_t MAX_SCHEMA_VALUES = 20000;
constexpr size_t MAX_PROPERTIES = 1000;  // of one object; rules grow with the square of those that may be left out
constexpr double MAX_EXACT = 9007199254740992.0;  // 2^53: beyond it, neighbours are not told apart

[[noreturn]] void refuse_part(const std::string & where, const std::string & why) {
    throw HttpError(400, fmt::format("\"{}\": {}", where, why));
}

// Of a grammar (GBNF) or a regular expression: they write brackets, sets and repetitions alike.
class Scanner {
public:
    // `has_literals`: what stands in quotes is text, and "#" begins a comment.
    Scanner(std::string_view text, const std::string & where, bool has_literals)
        : text_(text), where_(where), has_literals_(has_literals) {}

    void scan() {
        while (at_ < text_.size()) {
            const char c = text_[at_++];
            if (c == '\\' && !has_literals_) {
                ++at_;
            } else if (c == '[') {
                skip_to(']');
            } else if (c == '"' && has_literals_) {
                skip_to('"');
            } else if (c == '#' && has_literals_) {
                at_ = std::min(text_.find('\n', at_), text_.size());
            } else if (c == '(') {
                if (++depth_ > MAX_OPEN_BRACKETS)
                    refuse_part(where_, fmt::format("more than {} brackets are open", MAX_OPEN_BRACKETS));
            } else if (c == ')') {
                --depth_;
            } else if (c == '{') {
                repetition();
            } else if (c == '=' && has_literals_ && ++n_rules_ > MAX_RULES) {
                refuse_part(where_, fmt::format("more than {} rules", MAX_RULES));
            }
        }
    }

private:
    void skip_to(char end) {
        for (; at_ < text_.size() && text_[at_] != end; ++at_) {
            if (text_[at_] == '\\') ++at_;
        }
        ++at_;
    }

    std::optional<uint64_t> number() {
        while (at_ < text_.size() && text_[at_] == ' ')
            ++at_;
        if (at_ >= text_.size() || std::isdigit(static_cast<unsigned char>(text_[at_])) == 0) return std::nullopt;
        uint64_t n = 0;
        for (; at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_])) != 0; ++at_)
            n = std::min<uint64_t>(n * 10 + static_cast<uint64_t>(text_[at_] - '0'), MAX_REPETITION + 1);
        while (at_ < text_.size() && text_[at_] == ' ')
            ++at_;
        return n;
    }

    // "{m}", "{m,}", "{m,n}" or "{,n}"; anything else is left to llama.cpp.
    void repetition() {
        const std::optional<uint64_t> least = number();
        std::optional<uint64_t> most = least;
        if (at_ < text_.size() && text_[at_] == ',') {
            ++at_;
            most = number();
        }
        const uint64_t n = std::max(least.value_or(0), most.value_or(0));
        if (n > MAX_REPETITION) refuse_part(where_, fmt::format("a repetition of more than {}", MAX_REPETITION));
        if (most && least.value_or(0) > *most)
            refuse_part(where_, fmt::format("a repetition of at least {} and at most {}", *least, *most));
        n_repetitions_ += n;
        if (n_repetitions_ > MAX_REPETITIONS)
            refuse_part(where_, fmt::format("repetitions of more than {} together", MAX_REPETITIONS));
    }

    std::string_view text_;
    const std::string & where_;
    bool has_literals_;
    size_t at_ = 0;
    int depth_ = 0;
    size_t n_rules_ = 0;
    uint64_t n_repetitions_ = 0;
};

// A pair of bounds in a schema.
void require_order(const Json & schema, const char * least, const char * most, bool counts, const std::string & where) {
    std::optional<double> bounds[2];
    for (const auto & [i, key] : {std::pair{0, least}, std::pair{1, most}}) {
        const auto member = schema.find(key);
        if (member == schema.end() || !member->is_number()) continue;
        const double value = member->get<double>();
        if (std::abs(value) > MAX_EXACT) refuse_part(where, fmt::format("\"{}\" is beyond 2^53", key));
        if (counts && (value < 0 || value != std::floor(value)))
            refuse_part(where, fmt::format("\"{}\" must be a whole number from 0 on", key));
        bounds[i] = value;
    }
    if (bounds[0] && bounds[1] && *bounds[0] > *bounds[1])
        refuse_part(where, fmt::format("\"{}\" is above \"{}\"", least, most));
}

void walk(const Json & schema, const std::string & where, size_t & n_values) {
    if (++n_values > MAX_SCHEMA_VALUES)
        refuse_part(where, fmt::format("a schema of more than {} values", MAX_SCHEMA_VALUES));
    if (schema.is_array()) {
        for (const Json & one : schema)
            walk(one, where, n_values);
        return;
    }
    if (!schema.is_object()) return;
    const auto pattern = schema.find("pattern");
    if (pattern != schema.end() && pattern->is_string())
        require_bounded_pattern(pattern->get<std::string>(), "pattern");
    const auto properties = schema.find("properties");
    if (properties != schema.end() && properties->size() > MAX_PROPERTIES)
        refuse_part(where, fmt::format("an object of more than {} properties", MAX_PROPERTIES));
    require_order(schema, "minLength", "maxLength", /*counts=*/true, where);
    require_order(schema, "minItems", "maxItems", /*counts=*/true, where);
    require_order(schema, "minimum", "maximum", /*counts=*/false, where);
    require_order(schema, "exclusiveMinimum", "exclusiveMaximum", /*counts=*/false, where);
    for (const auto & [key, value] : schema.items())
        walk(value, where, n_values);
}

}  // namespace

void require_bounded_grammar(const std::string & grammar, const std::string & where) {
    if (grammar.size() > MAX_GRAMMAR_BYTES)
        refuse_part(where, fmt::format("a grammar of more than {} KiB", MAX_GRAMMAR_BYTES >> 10));
    Scanner(grammar, where, /*has_literals=*/true).scan();
}

void require_bounded_pattern(const std::string & pattern, const std::string & where) {
    if (pattern.size() > MAX_PATTERN_BYTES)
        refuse_part(where, fmt::format("a pattern of more than {} KiB", MAX_PATTERN_BYTES >> 10));
    Scanner(pattern, where, /*has_literals=*/false).scan();
}

void require_bounded_schema(const Json & schema, const std::string & where) {
    size_t n_values = 0;
    walk(schema, where, n_values);
}

}  // namespace shimmy::serve

#include "check/arithmetic.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <utility>

namespace shimmy::check {

namespace {

struct Token {
    enum class Kind { number, operation, equals, word, end_of_clause, end_of_sentence };
    Kind kind = Kind::word;
    double value = 0.0;
    int n_decimals = 0;
    char operation = 0;  // + - * / ^ ( )
};

constexpr int MAX_UNIT_WORDS = 4;  // "miles per hour"

// Reads the text once, left to right.
class Lexer {
public:
    explicit Lexer(const std::string & text) : text_(text) {}

    std::vector<Token> tokens() {
        std::vector<Token> result;
        while (at_ < text_.size()) {
            if (std::optional<Token> token = next(result)) result.push_back(*token);
        }
        return result;
    }

private:
    char here(size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
    static bool digit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }
    static bool letter(char c) {
        return std::isalpha(static_cast<unsigned char>(c)) != 0 || static_cast<unsigned char>(c) > 127;
    }
    bool skip(std::string_view symbol) {
        if (text_.compare(at_, symbol.size(), symbol) != 0) return false;
        at_ += symbol.size();
        return true;
    }

    std::optional<Token> next(const std::vector<Token> & before) {
        const bool after_number =
            !before.empty() && (before.back().kind == Token::Kind::number || before.back().kind == Token::Kind::word ||
                                before.back().operation == ')');
        if (digit(here()) || (here() == '.' && digit(here(1)))) return number();
        for (const auto & [symbol, operation] : {std::pair{"×", '*'}, {"·", '*'}, {"÷", '/'}, {"−", '-'}}) {
            if (skip(symbol)) return Token{Token::Kind::operation, 0, 0, operation};
        }
        if (skip("≈")) return Token{Token::Kind::end_of_clause, 0, 0, 0};  // rounded: how far, nobody says
        const char c = here();
        // "miles/hour" and "x" as a letter are words; "60 x 2" and "60 / 2" are not.
        const bool before_number = std::isspace(static_cast<unsigned char>(here(1))) != 0 || digit(here(1)) ||
                                   here(1) == '(' || here(1) == '$';
        if ((c == 'x' || c == 'X') && after_number && before_number && !letter(at_ > 0 ? text_[at_ - 1] : ' ')) {
            ++at_;
            return Token{Token::Kind::operation, 0, 0, '*'};
        }
        if (letter(c)) return word();
        ++at_;
        if (c == '=') return Token{Token::Kind::equals, 0, 0, 0};
        if (c == '*' && here() == '*') return double_star(after_number);
        if (c == '-' && !after_number && digit(here())) return negative();
        if (c == '(' || c == ')') return Token{Token::Kind::operation, 0, 0, c};
        // Elsewhere these are bullets, hyphens and markup.
        const bool is_operator = std::string_view("+-*^").find(c) != std::string_view::npos;
        if (is_operator && after_number && before_number) return Token{Token::Kind::operation, 0, 0, c};
        if (c == '/') return before_number ? Token{Token::Kind::operation, 0, 0, '/'} : Token{};
        if (c == '\n' || ((c == '.' || c == '!' || c == '?') && !digit(here())))
            return Token{Token::Kind::end_of_sentence, 0, 0, 0};
        if (c == ',' || c == ';' || c == ':') return Token{Token::Kind::end_of_clause, 0, 0, 0};
        return std::nullopt;  // spaces, currency and percent signs
    }

    // "2**3" and "2 ** 3" are powers; "**150**" is bold. The first star is read.
    std::optional<Token> double_star(bool after_number) {
        const char before = at_ >= 2 ? text_[at_ - 2] : ' ';
        ++at_;
        const bool tight = digit(before) && (digit(here()) || here() == '(');
        if (!after_number || !(tight || (before == ' ' && here() == ' '))) return std::nullopt;
        return Token{Token::Kind::operation, 0, 0, '^'};
    }
    Token negative() {
        Token token = number();
        token.value = -token.value;
        return token;
    }

    // "1,200.50": a comma counts if three digits follow.
    Token number() {
        std::string digits;
        while (digit(here()) ||
               (here() == ',' && digit(here(1)) && digit(here(2)) && digit(here(3)) && !digit(here(4)))) {
            if (digit(here())) digits += here();
            ++at_;
        }
        Token token{Token::Kind::number, 0, 0, 0};
        if (here() == '.' && digit(here(1))) {
            digits += '.';
            for (++at_; digit(here()); ++at_, ++token.n_decimals)
                digits += here();
        }
        token.value = std::strtod(digits.c_str(), nullptr);
        return token;
    }

    Token word() {
        while (letter(here()) || digit(here()) || here() == '_')
            ++at_;
        return {};
    }

    const std::string & text_;
    size_t at_ = 0;
};

// A value with the digits it was shown with.
struct Side {
    double value = 0.0;
    int n_decimals = 0;
    bool computes = false;  // holds an operator
};

// expression := product {(+|-) product}; product := power {(*|/) power}; power := atom [^ power];
// atom := number | ( expression )
class Parser {
public:
    explicit Parser(const std::vector<Token> & tokens) : tokens_(tokens) {}

    std::optional<Side> whole() {
        const double value = sum();
        if (failed_ || at_ != tokens_.size()) return std::nullopt;
        return Side{value, tokens_.size() == 1 ? tokens_.front().n_decimals : 0, tokens_.size() > 1};
    }

private:
    char operation() const {
        return at_ < tokens_.size() && tokens_[at_].kind == Token::Kind::operation ? tokens_[at_].operation : '\0';
    }
    double sum() {
        double value = product();
        for (char op = operation(); op == '+' || op == '-'; op = operation()) {
            ++at_;
            value += (op == '+' ? 1.0 : -1.0) * product();
        }
        return value;
    }
    double product() {
        double value = power();
        for (char op = operation(); op == '*' || op == '/'; op = operation()) {
            ++at_;
            const double right = power();
            value = op == '*' ? value * right : value / right;
        }
        return value;
    }
    double power() {
        const double base = atom();
        if (operation() != '^') return base;
        ++at_;
        return std::pow(base, power());
    }
    double atom() {
        if (at_ < tokens_.size() && tokens_[at_].kind == Token::Kind::number) return tokens_[at_++].value;
        if (operation() != '(' || ++depth_ > MAX_DEPTH) return stop();
        ++at_;
        const double value = sum();
        if (operation() != ')') return stop();
        ++at_;
        --depth_;
        return value;
    }
    double stop() {
        failed_ = true;
        at_ = tokens_.size();
        return 0.0;
    }

    static constexpr int MAX_DEPTH = 64;
    const std::vector<Token> & tokens_;
    size_t at_ = 0;
    int depth_ = 0;
    bool failed_ = false;
};

using Tokens = std::vector<Token>;

bool is_operand_end(const Token & token) {
    return token.kind == Token::Kind::number || token.operation == ')';
}

// Units go: words right behind a number or a parenthesis, if what follows them is no number.
Tokens without_units(const Tokens & tokens) {
    Tokens result;
    int n_words = 0;
    for (const Token & token : tokens) {
        if (token.kind == Token::Kind::word && !result.empty() && is_operand_end(result.back()) &&
            n_words < MAX_UNIT_WORDS) {
            ++n_words;
            continue;
        }
        // "20 percent of 50": a number behind words is not the same expression.
        if (n_words > 0 && is_operand_end(token) && token.operation != ')') result.push_back(Token{});
        n_words = 0;
        result.push_back(token);
    }
    return result;
}

// The longest expression at the end of what stands left of a "=".
std::optional<Side> left_side(const Tokens & tokens) {
    const Tokens clean = without_units(tokens);
    const auto is_part = [](const Token & token) {
        return token.kind == Token::Kind::number || token.kind == Token::Kind::operation;
    };
    size_t begin = clean.size();
    while (begin > 0 && is_part(clean[begin - 1]))
        --begin;
    // "speed * 2.5": what a word is multiplied with is no whole side.
    if (begin < clean.size() && clean[begin].kind == Token::Kind::operation && clean[begin].operation != '(')
        return std::nullopt;
    const Tokens part(clean.begin() + static_cast<std::ptrdiff_t>(begin), clean.end());
    return part.empty() ? std::nullopt : Parser(part).whole();
}

// The expression at the beginning of what stands right of a "=".
std::optional<Side> right_side(const Tokens & tokens) {
    const Tokens clean = without_units(tokens);
    size_t end = 0;
    while (end < clean.size() && (clean[end].kind == Token::Kind::number || clean[end].kind == Token::Kind::operation))
        ++end;
    while (end > 0 && !is_operand_end(clean[end - 1]))
        --end;  // "= 150 (…": what follows is prose
    const Tokens part(clean.begin(), clean.begin() + static_cast<std::ptrdiff_t>(end));
    return part.empty() ? std::nullopt : Parser(part).whole();
}

bool agree(const Side & left, const Side & right) {
    const int n_decimals = right.computes ? left.n_decimals : right.n_decimals;
    const double shown = 0.5 * std::pow(10.0, -n_decimals);
    const double tolerance = (n_decimals > 0 ? shown : 0.0) + 1e-9 * std::max(1.0, std::abs(left.value));
    return std::abs(left.value - right.value) <= tolerance;
}

// Tokens between the ends of clauses, cut at each "=".
void check_clause(const std::vector<Tokens> & sides, std::vector<std::string> & wrong) {
    std::optional<Side> known;  // what the chain came to so far
    for (size_t i = 0; i + 1 < sides.size(); ++i) {
        std::optional<Side> left = left_side(sides[i]);
        if (left && !left->computes && !known) left.reset();
        const std::optional<Side> right = right_side(sides[i + 1]);
        if (left && right && !agree(*left, *right))
            wrong.push_back(fmt::format("{:g} is not {:g}", left->value, right->value));
        known = right;
    }
}

}  // namespace

std::vector<std::string> wrong_steps(const std::string & text) {
    std::vector<std::string> wrong;
    std::vector<Tokens> sides(1);
    const auto finish = [&] {
        check_clause(sides, wrong);
        sides.assign(1, {});
    };
    for (const Token & token : Lexer(text).tokens()) {
        if (token.kind == Token::Kind::end_of_clause || token.kind == Token::Kind::end_of_sentence) {
            finish();
        } else if (token.kind == Token::Kind::equals) {
            sides.emplace_back();
        } else {
            sides.back().push_back(token);
        }
    }
    finish();
    return wrong;
}

std::vector<double> final_numbers(const std::string & text) {
    std::vector<double> last;
    std::vector<double> current;
    for (const Token & token : Lexer(text).tokens()) {
        if (token.kind == Token::Kind::number) current.push_back(token.value);
        if (token.kind == Token::Kind::end_of_sentence && !current.empty()) last = std::exchange(current, {});
    }
    return current.empty() ? last : current;
}

}  // namespace shimmy::check

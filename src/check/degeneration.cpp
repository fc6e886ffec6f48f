#include "check/degeneration.h"

#include "check/language.h"
#include "check/words.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <set>

namespace shimmy::check {

namespace {

// Verse repeats a line, and code a statement; a broken model does not stop. Between them lie these limits.
constexpr size_t MAX_REPEATED_WORDS = 40;
constexpr size_t MIN_REPEATS = 4;       // of a unit of several words, in a row
constexpr size_t MIN_WORD_REPEATS = 8;  // of one word: "0, 0, 0, 0" is a list
constexpr size_t MAX_UNIT_CHARACTERS = 8;
constexpr size_t MIN_LOOP_CHARACTERS = 64;
constexpr size_t N_GRAM = 4;
constexpr size_t MIN_N_GRAMS = 32;
constexpr double MAX_SEEN_SHARE = 0.5;
constexpr const char * REPLACEMENT = "\xEF\xBF\xBD";  // U+FFFD

// The longest run of `sequence[i] == sequence[i - unit]`, as how often the unit comes in a row; `at`: where it begins.
template <typename Sequence>
size_t repeats_in_a_row(const Sequence & sequence, size_t unit, size_t & at) {
    size_t best = 0;
    size_t run = 0;
    for (size_t i = unit; i < sequence.size(); ++i) {
        run = sequence[i] == sequence[i - unit] ? run + 1 : 0;
        if (run > best) {
            best = run;
            at = i + 1 - run - unit;
        }
    }
    return best / unit + 1;
}

std::string word_loop(const std::vector<std::string> & all) {
    for (size_t unit = 1; unit <= std::min(MAX_REPEATED_WORDS, all.size() / 2); ++unit) {
        size_t at = 0;
        const size_t n = repeats_in_a_row(all, unit, at);
        if (n < (unit == 1 ? MIN_WORD_REPEATS : MIN_REPEATS)) continue;
        const auto begin = all.begin() + static_cast<std::ptrdiff_t>(at);
        return fmt::format("repeats \"{}\" {} times in a row",
                           fmt::join(begin, begin + static_cast<std::ptrdiff_t>(unit), " "), n);
    }
    return "";
}

// Rules of dashes and tables are no loops.
std::string character_loop(const std::string & text) {
    for (size_t unit = 1; unit <= MAX_UNIT_CHARACTERS; ++unit) {
        size_t at = 0;
        const size_t n = repeats_in_a_row(text, unit, at);
        const std::string what = text.substr(at, unit);
        const bool is_text =
            std::any_of(what.begin(), what.end(), [](unsigned char c) { return std::isalnum(c) || c > 127; });
        if (n * unit >= MIN_LOOP_CHARACTERS && n > 1 && is_text)
            return fmt::format("repeats \"{}\" {} times in a row", what, n);
    }
    return "";
}

std::string seen_before(const std::vector<std::string> & all) {
    std::set<std::vector<std::string>> seen;
    size_t n_seen = 0;
    size_t n = 0;
    for (auto i = all.begin(); all.end() - i >= static_cast<std::ptrdiff_t>(N_GRAM); ++i, ++n)
        n_seen += seen.insert({i, i + N_GRAM}).second ? 0 : 1;
    if (n < MIN_N_GRAMS || static_cast<double>(n_seen) <= MAX_SEEN_SHARE * static_cast<double>(n)) return "";
    return fmt::format("repeats itself: {} of {} sequences of {} words were there before", n_seen, n, N_GRAM);
}

// Well-formed by the table of The Unicode Standard, 3.9 (no overlong forms, no surrogates).
bool is_utf8(const std::string & text) {
    const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
    for (size_t i = 0; i < text.size();) {
        const unsigned lead = byte(i);
        const size_t n = lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
        if (n == 0 || i + n > text.size()) return false;
        for (size_t k = 1; k < n; ++k) {
            if ((byte(i + k) & 0xC0) != 0x80) return false;
        }
        if (n > 2) {
            const unsigned second = byte(i + 1);
            if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) || (lead == 0xF0 && second < 0x90) ||
                (lead == 0xF4 && second > 0x8F))
                return false;
        }
        i += n;
    }
    return true;
}

}  // namespace

std::vector<std::string> degenerations(const std::string & prompt, const std::string & answer) {
    const std::vector<std::string> all = words(answer);
    if (all.empty()) return {"is empty"};
    std::vector<std::string> found;
    if (!is_utf8(answer) || answer.find(REPLACEMENT) != std::string::npos) found.emplace_back("holds broken UTF-8");
    const std::string loop = word_loop(all);
    for (const std::string & reason :
         {loop, loop.empty() ? character_loop(answer) : "", seen_before(all), language_switch(prompt, answer)}) {
        if (!reason.empty()) found.push_back(reason);
    }
    return found;
}

}  // namespace shimmy::check

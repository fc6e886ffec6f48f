#include "check/language.h"

#include "base/text/text.h"
#include "check/words.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <map>
#include <set>

namespace shimmy::check {

namespace {

// Ranges of letters (The Unicode Standard, "Blocks"), one name per script that languages are written in.
struct Block {
    uint32_t first, last;
    const char * script;
};
constexpr std::array BLOCKS{
    Block{'A', 'Z', "Latin"},          Block{'a', 'z', "Latin"},        Block{0xC0, 0x24F, "Latin"},
    Block{0x370, 0x3FF, "Greek"},      Block{0x400, 0x52F, "Cyrillic"}, Block{0x530, 0x58F, "Armenian"},
    Block{0x590, 0x5FF, "Hebrew"},     Block{0x600, 0x77F, "Arabic"},   Block{0x900, 0x97F, "Devanagari"},
    Block{0x980, 0x9FF, "Bengali"},    Block{0xB80, 0xBFF, "Tamil"},    Block{0xE00, 0xE7F, "Thai"},
    Block{0x10A0, 0x10FF, "Georgian"}, Block{0x1100, 0x11FF, "Hangul"}, Block{0x1E00, 0x1EFF, "Latin"},
    Block{0x3040, 0x30FF, "Kana"},     Block{0x3400, 0x9FFF, "Han"},    Block{0xAC00, 0xD7AF, "Hangul"},
};
constexpr int MIN_LETTERS = 8;  // a Greek letter in a formula is no other language
constexpr double MIN_LETTER_SHARE = 0.1;

// Small words that are frequent in one of these languages and are no words of the others.
const std::map<std::string, std::set<std::string>> & small_words() {
    static const std::map<std::string, std::set<std::string>> table{
        {"English", {"the", "and", "of",  "to",   "is",  "that",  "it",      "with", "are",  "this",  "which",
                     "by",  "be",  "how", "what", "why", "write", "explain", "an",   "does", "simple"}},
        {"German", {"der", "und", "ist", "das", "nicht", "ein", "eine", "mit", "den", "auf", "wird", "sich", "von"}},
        {"French", {"le", "les", "est", "dans", "une", "pour", "qui", "pas", "sur", "avec", "des", "du", "et"}},
        {"Spanish", {"el", "los", "las", "es", "por", "una", "con", "para", "del", "como", "más", "pero", "y"}},
        {"Italian", {"il", "che", "di", "per", "è", "della", "sono", "gli", "nel", "anche", "questo", "alla"}},
        {"Portuguese", {"não", "uma", "os", "em", "um", "do", "da", "mais", "são", "ao", "pelo", "também"}},
    };
    return table;
}
constexpr int MIN_SMALL_WORDS = 5;

// Next code point of well-formed UTF-8; a byte that is none counts as itself.
uint32_t next_code_point(const std::string & text, size_t & at) {
    const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
    const uint32_t lead = byte(at++);
    const int n_more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : lead >= 0xC0 ? 1 : 0;
    uint32_t code = n_more == 0 ? lead : lead & (0x3FU >> n_more);
    for (int i = 0; i < n_more && (byte(at) & 0xC0) == 0x80; ++i)
        code = (code << 6) | (byte(at++) & 0x3F);
    return code;
}

std::map<std::string, int> letters_by_script(const std::string & text) {
    std::map<std::string, int> counts;
    for (size_t at = 0; at < text.size();) {
        const uint32_t code = next_code_point(text, at);
        for (const Block & block : BLOCKS) {
            if (code >= block.first && code <= block.last) ++counts[block.script];
        }
    }
    return counts;
}

std::map<std::string, int> small_words_by_language(const std::string & text) {
    std::map<std::string, int> counts;
    for (std::string word : words(lower(text))) {
        std::erase_if(word, [](unsigned char c) { return c < 128 && std::isalpha(c) == 0; });
        for (const auto & [language, list] : small_words())
            counts[language] += list.contains(word) ? 1 : 0;
    }
    return counts;
}

std::string most(const std::map<std::string, int> & counts) {
    const auto found = std::max_element(counts.begin(), counts.end(),
                                        [](const auto & a, const auto & b) { return a.second < b.second; });
    return found == counts.end() || found->second == 0 ? "" : found->first;
}

}  // namespace

std::string language_switch(const std::string & prompt, const std::string & answer) {
    const auto wanted = letters_by_script(prompt);
    const auto used = letters_by_script(answer);
    int n_letters = 0;
    for (const auto & [script, n] : used)
        n_letters += n;
    for (const auto & [script, n] : used) {
        if (!wanted.contains(script) && script != "Latin" && n >= MIN_LETTERS && n > MIN_LETTER_SHARE * n_letters)
            return fmt::format("changes to {} script ({} of {} letters)", script, n, n_letters);
    }
    const std::string language = most(small_words_by_language(prompt));
    const auto spoken = small_words_by_language(answer);
    const std::string other = most(spoken);
    if (language.empty() || other.empty() || other == language) return "";
    const int n_other = spoken.at(other);
    if (n_other < MIN_SMALL_WORDS || n_other <= 2 * spoken.at(language)) return "";
    return fmt::format("changes from {} to {}", language, other);
}

}  // namespace shimmy::check

#include "check/verse.h"

#include "check/words.h"

#include <fmt/format.h>

namespace shimmy::check {

namespace {

// Lines per stanza.
std::vector<int> stanzas(const std::vector<std::string> & all) {
    std::vector<int> result;
    bool inside = false;
    for (const std::string & line : all) {
        if (line.empty()) {
            inside = false;
            continue;
        }
        if (!inside) result.push_back(0);
        ++result.back();
        inside = true;
    }
    return result;
}

}  // namespace

std::vector<std::string> verse_defects(const std::string & text, const VerseForm & form) {
    std::vector<std::string> defects;
    const std::vector<std::string> all = lines(text);
    const std::vector<int> sizes = stanzas(all);
    int n_lines = 0;
    for (const int n : sizes)
        n_lines += n;
    if (n_lines < form.min_lines) defects.push_back(fmt::format("has {} lines, not {}", n_lines, form.min_lines));
    if (static_cast<int>(sizes.size()) < form.min_stanzas)
        defects.push_back(fmt::format("has {} stanzas, not {}", sizes.size(), form.min_stanzas));
    for (const int n : sizes) {
        if (form.lines_per_stanza == 0 || n == form.lines_per_stanza) continue;
        defects.push_back(fmt::format("has a stanza of {} lines, not {}", n, form.lines_per_stanza));
        break;
    }
    for (const std::string & line : all) {
        const auto n = static_cast<int>(words(line).size());
        if (line.starts_with("```")) defects.emplace_back("is code, not verse");
        if (n > form.max_words_per_line)
            defects.push_back(fmt::format("has a line of {} words, more than {}: prose", n, form.max_words_per_line));
        if (!defects.empty() && (line.starts_with("```") || n > form.max_words_per_line)) break;
    }
    return defects;
}

}  // namespace shimmy::check

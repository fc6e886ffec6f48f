// Is a text verse: lines and stanzas, not prose.
#pragma once

#include <string>
#include <vector>

namespace shimmy::check {

struct VerseForm {
    int min_lines = 4;
    int min_stanzas = 1;
    int lines_per_stanza = 0;  // 0: any
    int max_words_per_line = 14;
};

// Reasons why it is not, empty if it is. Stanzas are parted by empty lines.
std::vector<std::string> verse_defects(const std::string & text, const VerseForm & form);

}  // namespace shimmy::check

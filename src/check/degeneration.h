// Signs that a model is broken, in any answer to any prompt.
#pragma once

#include <string>
#include <vector>

namespace shimmy::check {

// Reasons, each a sentence part such as "repeats \"and then\" 14 times in a row"; empty: none was found. Looked for:
// nothing said; bytes that are no UTF-8 (U+FFFD where the engine replaced them); a unit of up to 40 words, or up to 8
// characters, that comes again and again; more than half of the sequences of 4 words seen before; letters of a script
// that the prompt does not use, or the small words of another language.
std::vector<std::string> degenerations(const std::string & prompt, const std::string & answer);

}  // namespace shimmy::check

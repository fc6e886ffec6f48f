// Languages of a model card: what the Hub's `language` field takes.
#pragma once

#include <string>
#include <vector>

namespace shimmy::lab {

// A code of ISO 639: two letters of part 1 ("en"), or three of parts 2 and 3 ("yue"), of which only the form is
// checked; or the Hub's own words "multilingual" and "code".
bool is_language_code(const std::string & text);

// Of what a file's metadata lists, the codes, each once; "en" if there are none.
std::vector<std::string> card_languages(const std::vector<std::string> & of_metadata);

}  // namespace shimmy::lab

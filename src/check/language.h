// Internal to check: which script and which language a text is in, as far as a change between two texts shows.
#pragma once

#include <string>

namespace shimmy::check {

// Empty if `answer` keeps to the scripts and the language of `prompt`; else what it changes to, as a sentence part.
std::string language_switch(const std::string & prompt, const std::string & answer);

}  // namespace shimmy::check

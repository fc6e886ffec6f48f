// Regular expressions of JSON schemas (ECMA-262), written so that llama.cpp holds a text to them. It knows a part of
// the language, takes "." for every character of a JSON string, its end included, and accepts any text where it finds
// something that it does not know.
#pragma once

#include <string>

namespace shimmy::serve {

// A pattern from "^" to "$" that matches the texts in which `pattern` is found, as they are written in JSON. Throws
// Error with the reason where there is none: lookaround, back references, properties of characters, \b, flags.
std::string enforceable_pattern(const std::string & pattern);

}  // namespace shimmy::serve

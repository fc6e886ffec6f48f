// Text that people give in a file, or on standard input.
#pragma once

#include "base/files.h"

#include <string>

namespace shimmy {

// "-" is standard input. A byte order mark, which editors put before UTF-8, is no part of the text. Throws Error as
// read_file does, and for UTF-16, whose every second byte would be read as a control character.
std::string read_text_file(const std::string & file);

// The same of a text that figures are taken from. Throws also for one without any, and for bytes that are not UTF-8:
// what is measured on those says nothing of text.
std::string read_measured_text(const std::string & file);

}  // namespace shimmy

// Tokens may end inside a UTF-8 sequence; text that leaves the engine may not.
#pragma once

#include <string>
#include <string_view>

namespace shimmy {

class Utf8Stream {
public:
    // Adds bytes and returns the part that is whole: a cut sequence at the end is held back for the next call.
    // Bytes that can never become UTF-8 come out as U+FFFD. The result stands until the next call, in memory that is
    // used again: a token costs no allocation.
    std::string_view push(std::string_view bytes);

    // What is still held back, as U+FFFD: the text ended inside a sequence.
    std::string_view finish();

private:
    std::string held_;
    std::string whole_;
};

}  // namespace shimmy

// Tokens may end inside a UTF-8 sequence; text that leaves the engine may not.
#pragma once

#include <string>
#include <string_view>

namespace shimmy::engine {

class Utf8Stream {
public:
    // Adds bytes and returns the part that is whole: a cut sequence at the end is held back for the next call.
    // Bytes that can never become UTF-8 come out as U+FFFD.
    std::string push(std::string_view bytes);

    // What is still held back, as U+FFFD: the text ended inside a sequence.
    std::string finish();

private:
    std::string held_;
};

}  // namespace shimmy::engine

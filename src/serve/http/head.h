// The head of an HTTP/1 request, as RFC 9112 has it and no looser: what two parsers could read in two ways is how a
// body becomes a request of its own.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace shimmy::serve {

// What is wrong with a whole head, its empty line included; nullopt: nothing. The connection cannot be used after a
// head that is wrong, because nobody knows where its body ends.
std::optional<std::string> head_fault(std::string_view head);

}  // namespace shimmy::serve

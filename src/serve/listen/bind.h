// Why an address could not be had.
#pragma once

#include "serve/listen/address.h"

#include <string>

namespace shimmy::serve {

// Throws Error that says who holds the address, or what else is wrong with it, and names `option`, by which another
// could be chosen.
[[noreturn]] void fail_to_bind(const Address & address, const std::string & option);

}  // namespace shimmy::serve

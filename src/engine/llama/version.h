#pragma once

#include <string>

namespace shimmy::engine {

// "0.5.0", as the linked library says
std::string llama_cpp_version();

}  // namespace shimmy::engine

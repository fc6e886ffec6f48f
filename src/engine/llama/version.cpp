#include "engine/llama/version.h"

#include "llama.h"

namespace shimmy::engine {

std::string llama_cpp_version() {
    return llama_version();
}

}  // namespace shimmy::engine

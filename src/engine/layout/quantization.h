// The quantizations of llama.cpp by name.
#pragma once

#include <string>
#include <vector>

namespace shimmy::engine {

// Names in llama.cpp's spelling, from the fewest bits per weight to the most.
const std::vector<std::string> & quantization_types();

// llama.cpp's spelling of `type`, whatever its case; "Q4_K" is Q4_K_M, as in llama.cpp's own tool. Throws UsageError
// naming the known types.
std::string canonical_quantization(const std::string & type);

// llama.cpp's file type number (enum llama_ftype). `type` in any case.
int quantization_ftype(const std::string & type);

}  // namespace shimmy::engine

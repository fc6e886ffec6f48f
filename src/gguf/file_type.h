// Quantizations by the number that general.file_type holds.
#pragma once

#include <cstdint>
#include <string>

namespace shimmy::gguf {

// Short name as llama-quantize spells it ("Q4_K_M", "MXFP4_MOE"); empty if llama.cpp has no such file type.
std::string file_type_name(int64_t file_type);

// F32, F16 or BF16, in any case: of a tensor or a whole file, that was not quantized.
bool is_float_type(const std::string & name);

}  // namespace shimmy::gguf

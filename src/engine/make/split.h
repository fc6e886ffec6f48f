// A model in several files, as llama.cpp's gguf-split makes them and its loader reads them.
#pragma once

#include "base/files.h"

#include <cstdint>
#include <vector>

namespace shimmy::engine {

// Sizes of the parts that split_model() would make of this file: one if it is not larger than that. Tensors stay whole,
// so a part is larger only if one of its tensors is. Reads the header only.
std::vector<uint64_t> plan_split(const fs::path & file, uint64_t max_part_bytes);

// Writes <dir>/<stem>-00001-of-0000N.gguf and so on, each whole or not at all, and returns them in order. The first
// holds all metadata. Throws Error (disk full, not a GGUF file, already a part), Interrupted.
std::vector<fs::path> split_model(const fs::path & file, const fs::path & dir, uint64_t max_part_bytes,
                                  const ByteProgress & progress);

}  // namespace shimmy::engine

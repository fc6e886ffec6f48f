// A projector for images as small as one can be, for the embedded model: LLaVA's kind, four patches of 14 by 14 pixels,
// random weights. What it makes of a picture means nothing, but differs from picture to picture.
#pragma once

#include "base/files.h"

#include <cstdint>
#include <string>

namespace shimmy::e2e {

constexpr int N_PATCHES = 4;  // tokens of a picture

// `n_embd`: of the model that it is for.
void write_projector(const fs::path & file, int64_t n_embd);

// A BMP of one colour, 28 by 28 pixels; or one whose header says another size.
std::string picture(uint8_t red, uint8_t green, uint8_t blue, int32_t width = 28, int32_t height = 28);

}  // namespace shimmy::e2e

// Models that do not exist, with the exact shape and size of ones that do: for trying memory, speed and placement
// before downloading 40 GB, and for testing real shapes.
//
// Weights are random: normal, with the spread that keeps activations of an initialized model finite (standard deviation
// 1 / sqrt(row length), norms 1, small biases), quantized for real to the type that llama.cpp's quantizer would choose.
// Quantizing tens of billions of weights takes hours, so a pool of two million is quantized once per type and row
// length, and tensors are filled from it at random offsets: right sizes, types and speed; text without meaning; a
// router that sends tokens about equally to all experts.
#pragma once

#include "base/files.h"
#include "gguf/shape.h"

#include <cstdint>
#include <filesystem>
#include <string>

namespace shimmy::engine {

struct SynthOptions {
    gguf::Shape shape;
    std::string quantization;  // a name of engine/layout/quantization.h; empty: the shape's own
    std::filesystem::path output;
    bool sparse = false;  // leave the weights as a hole in the file: zeros that take no disk
    uint64_t seed = 42;   // the same seed gives the same file
};

// Writes the file whole or not at all; checks free disk first. `on_progress` may throw to stop.
// Returns the file's size in bytes. Throws Error with the reason.
uint64_t synthesize(const SynthOptions & options, const ByteProgress & on_progress = {});

}  // namespace shimmy::engine

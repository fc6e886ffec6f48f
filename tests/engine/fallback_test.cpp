// Tensors that the wanted type cannot hold: named, with what they become instead.
#include "engine/make/quantize.h"
#include "engine/make/synthesize.h"
#include "error_of.h"
#include "gguf/gguf_file.h"
#include "tiny_shape.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace shimmy::engine {
namespace {

TEST(Fallbacks, AreTheRowsThatTheTypeCannotHold) {
    const TempDir dir;
    SynthOptions synth;
    synth.shape = gguf::with_layers(tiny_shape(dir), 3);  // two layers with experts of 96 columns
    synth.output = dir / "m.gguf";
    synthesize(synth);
    QuantizeOptions options;
    options.input = synth.output;
    options.output = dir / "q.gguf";
    options.type = "Q4_K_M";
    const std::vector<Fallback> fallbacks = quantize(options);
    std::vector<std::string> lines;
    for (const Fallback & one : fallbacks)
        lines.push_back(fmt::format("{} {} {}", one.tensor, one.n_columns, one.got));
    std::sort(lines.begin(), lines.end());
    const gguf::GgufFile made(options.output);
    std::vector<std::string> expected;
    for (const gguf::TensorInfo & tensor : made.tensors()) {
        const bool narrow = tensor.shape.size() > 1 && tensor.shape.front() == 96;
        if (narrow) expected.push_back(fmt::format("{} 96 {}", tensor.name, tensor.type));
    }
    std::sort(expected.begin(), expected.end());
    EXPECT_FALSE(expected.empty());
    EXPECT_EQ(lines, expected);
    for (const Fallback & one : fallbacks)
        EXPECT_TRUE(one.wanted == "q4_K" || one.wanted == "q6_K") << one.wanted;
    options.type = "Q8_0";
    EXPECT_TRUE(quantize(options).empty()) << "32 divides 96";
}

}  // namespace
}  // namespace shimmy::engine

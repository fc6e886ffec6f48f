// A disk that is too small is said before anything is written: a model of 768 GiB, as a hole.
#include "base/error.h"
#include "base/files.h"
#include "engine/device/device.h"
#include "engine/make/quantize.h"
#include "engine/make/split.h"
#include "engine/make/synthesize.h"
#include "tiny_shape.h"

#include <gtest/gtest.h>
#include "error_of.h"

#include <regex>

namespace shimmy::engine {
namespace {

TEST(Disk, TooLittleOfItIsSaidBeforeAnythingIsWritten) {
    const TempDir dir;
    if (free_disk_bytes(dir.path()) > uint64_t{200} << 30) GTEST_SKIP() << "this disk is too large to be too small";
    // Nothing large is written, even by a program that would.
    const auto stop = [](uint64_t, uint64_t) { throw Error("was about to write"); };
    SynthOptions synth;
    synth.shape = gguf::with_layers(tiny_shape(dir), 2);
    for (auto & [key, value] : synth.shape.metadata) {
        if (key == "deepseek.feed_forward_length") value = int64_t{1} << 29;  // x 256 x 3 matrices x 2 bytes
    }
    synth.output = dir / "large.gguf";
    const std::regex of_synthesis("[^:]+/large\\.gguf: needs 768\\.[0-9]+ GiB of disk, and .+ is free: .+ too little");
    const std::string error = error_of([&] { synthesize(synth, stop); });
    EXPECT_TRUE(std::regex_match(error, of_synthesis)) << error;
    EXPECT_FALSE(fs::exists(synth.output));
    synth.sparse = true;
    EXPECT_EQ(error_of([&] { synthesize(synth, stop); }), "") << "a hole needs none";

    load_backends();
    QuantizeOptions quantization;
    quantization.input = synth.output;
    quantization.output = dir / "small.gguf";
    quantization.type = "Q8_0";
    const std::string of_quantizer = error_of([&] { quantize(quantization, stop); });
    EXPECT_TRUE(
        std::regex_match(of_quantizer, std::regex("[^:]+/small\\.gguf: needs 40[0-9]\\.[0-9]+ GiB of disk, and .+ "
                                                  "is free: .+ too little")))
        << of_quantizer;

    const std::string of_split = error_of([&] { split_model(synth.output, dir.path(), uint64_t{50} << 30, stop); });
    EXPECT_TRUE(
        std::regex_match(of_split, std::regex("[^:]+/large\\.gguf: its parts need 768\\.[0-9]+ GiB in .+, which "
                                              "has .+ free")))
        << of_split;
    EXPECT_EQ(std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator()), 3)
        << "vocabulary, shape, hole";
}

}  // namespace
}  // namespace shimmy::engine

#include "engine/predict/quantization.h"

#include "base/error.h"
#include "engine/load/placement.h"

#include "llama.h"

#include <gtest/gtest.h>

namespace shimmy::engine {
namespace {

TEST(Quantization, NamesAreThoseOfLlamaCpp) {
    EXPECT_EQ(quantization_ftype("Q4_K_M"), LLAMA_FTYPE_MOSTLY_Q4_K_M);
    EXPECT_EQ(quantization_ftype("q2_k"), LLAMA_FTYPE_MOSTLY_Q2_K);
    EXPECT_EQ(canonical_quantization("q4_k"), "Q4_K_M");
    EXPECT_EQ(canonical_quantization("mxfp4"), "MXFP4_MOE");
    for (const std::string & name : quantization_types()) {
        // llama.cpp's own name of the file type starts with ours: "Q4_K - Medium", "Q8_0", "IQ2_M - 2.7 bpw"
        const std::string theirs = llama_ftype_name(static_cast<llama_ftype>(quantization_ftype(name)));
        const std::string stem = name.substr(0, name.find('_'));
        EXPECT_NE(theirs.find(stem), std::string::npos) << name << " is called " << theirs;
    }
}

TEST(Quantization, AnUnknownNameListsTheKnownOnes) {
    try {
        (void)canonical_quantization("Q9_X");
        FAIL();
    } catch (const UsageError & error) {
        EXPECT_NE(std::string(error.what()).find("Q9_X"), std::string::npos);
        EXPECT_NE(std::string(error.what()).find("Q4_K_M"), std::string::npos);
    }
}

TEST(Placement, NamesRoundTrip) {
    for (const Placement placement : {Placement::baseline(), Placement::offload(), Placement::partial(7)}) {
        EXPECT_EQ(parse_placement(to_string(placement)), placement);
    }
    for (const char * text : {"", "gpu", "n_cpu_moe=", "n_cpu_moe=0", "n_cpu_moe=-3", "n_cpu_moe=2x"}) {
        EXPECT_THROW((void)parse_placement(text), UsageError) << text;
    }
}

}  // namespace
}  // namespace shimmy::engine

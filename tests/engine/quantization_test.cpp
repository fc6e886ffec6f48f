#include "engine/layout/quantization.h"

#include "base/error.h"
#include "base/files.h"
#include "engine/load/placement.h"
#include "gguf/file_type.h"

#include "llama.h"

#include <gtest/gtest.h>
#include <regex>

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

// The table of llama.cpp's own tool, as its source has it.
TEST(Quantization, EveryNameHasTheFileTypeOfTheTool) {
    const std::string tool = read_file(std::string(SHIMMY_LLAMA_DIR) + "/tools/quantize/quantize.cpp");
    const std::string header = read_file(std::string(SHIMMY_LLAMA_DIR) + "/include/llama.h");
    for (const std::string & name : quantization_types()) {
        std::smatch row;
        ASSERT_TRUE(std::regex_search(tool, row, std::regex("\\{ *\"" + name + "\", *(LLAMA_FTYPE_[A-Z0-9_]+) *,")))
            << name;
        std::smatch value;
        ASSERT_TRUE(std::regex_search(header, value, std::regex(row[1].str() + " += ([0-9]+),"))) << row[1];
        EXPECT_EQ(quantization_ftype(name), std::stoi(value[1])) << name;
        EXPECT_EQ(gguf::file_type_name(quantization_ftype(name)), name);
        EXPECT_EQ(canonical_quantization(name), name);
    }
    EXPECT_EQ(gguf::file_type_name(99999), "");
    EXPECT_EQ(canonical_quantization("Q3_K"), "Q3_K_M");
    EXPECT_EQ(canonical_quantization("q5_k"), "Q5_K_M");
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
    for (const char * text :
         {"", "cpu", "auto", "n_cpu_moe=", "n_cpu_moe=0", "n_cpu_moe=-3", "n_cpu_moe=2x", "n-cpu-moe=0"}) {
        EXPECT_THROW((void)parse_placement(text), UsageError) << text;
    }
    EXPECT_EQ(to_string(Placement::baseline()), "baseline");
    EXPECT_EQ(to_string(Placement::offload()), "offload");
    EXPECT_EQ(to_string(Placement::partial(1)), "n_cpu_moe=1");
    EXPECT_EQ(parse_placement("n_cpu_moe=1"), Placement::partial(1));
    for (const Placement placement : {Placement::baseline(), Placement::offload(), Placement::partial(7)}) {
        EXPECT_EQ(parse_placement(to_text(placement)), placement) << "as people say it";
        EXPECT_EQ(parse_placement_or_auto(to_text(placement)), placement);
    }
    EXPECT_EQ(to_text(Placement::partial(12)), "n-cpu-moe=12");
    EXPECT_EQ(parse_placement_or_auto("auto"), Placement::automatic());
    EXPECT_EQ(to_string(Placement::automatic()), "auto");
    EXPECT_THROW((void)parse_placement_or_auto("cpu"), UsageError);
    EXPECT_FALSE(Placement::baseline().offloads());
    EXPECT_TRUE(Placement::offload().offloads());
    EXPECT_TRUE(Placement::partial(1).offloads());
}

}  // namespace
}  // namespace shimmy::engine

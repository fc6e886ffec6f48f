// The documents that are made from the program, and the commands that documents show.
#include "program.h"
#include "variable.h"

#include "base/files.h"
#include "base/process/short_waits.h"

#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>

namespace shimmy::e2e {
namespace {

TEST(Docs, TheReferencePageIsWhatTheProgramSays) {
    const ProcessResult result = shimmy({"reference"});
    ASSERT_TRUE(result.ok()) << result.err;
    EXPECT_EQ(read_file(fs::path(SHIMMY_SOURCE_DIR) / "docs/CLI.md"), result.out) << "run `make docs`";
}

TEST(Docs, VersionNamesBoth) {
    const ProcessResult result = shimmy({"--version"});
    EXPECT_EQ(result.exit_code, 0);
    EXPECT_EQ(result.out.rfind("shimmy ", 0), 0U) << result.out;
    EXPECT_NE(result.out.find("llama.cpp v0.5.0"), std::string::npos) << result.out;
}

// What the issue forms ask for: versions, devices, instructions, and nothing that names the user.
TEST(ReportBug, SaysWhatTheMachineIsAndNothingPrivate) {
    for (const auto & [name, value] : {std::pair("HF_TOKEN", "hf_secretsecret"),
                                       {"SHIMMY_API_KEY", "key-of-mine"},
                                       {"GGML_MOE_GPU_MIN_BATCH", "77"},
                                       {"GGML_VK_PIPELINE_CACHE", "/home/alice/cache"}})
        setenv(name, value, 1);
    const ProcessResult text = shimmy({"report-bug"});
    const Json document = shimmy_json({"report-bug"});
    for (const char * name : {"HF_TOKEN", "SHIMMY_API_KEY", "GGML_MOE_GPU_MIN_BATCH", "GGML_VK_PIPELINE_CACHE"})
        unsetenv(name);
    EXPECT_EQ(document["llama_cpp_version"], "0.5.0");
    EXPECT_GT(document["ram_bytes"], 0U);
    EXPECT_FALSE(document["devices"].empty());
    EXPECT_EQ(document["environment"]["GGML_MOE_GPU_MIN_BATCH"], "77");
    EXPECT_EQ(document["environment"]["HF_TOKEN"], "(set)");
    for (const std::string & output : {text.out, document.dump()}) {
        EXPECT_NE(output.find("77"), std::string::npos);
        std::array<char, 256> host{};
        gethostname(host.data(), host.size() - 1);
        for (const std::string secret : {"hf_secretsecret", "key-of-mine", "alice", SHIMMY_SOURCE_DIR})
            EXPECT_EQ(output.find(secret), std::string::npos) << secret << "\n" << output;
        if (std::strlen(host.data()) > 3) {
            EXPECT_EQ(output.find(host.data()), std::string::npos) << output;
        }
    }
}

// libgomp reads it before main().
TEST(ShortWaits, AreSetUnlessTheUserSaysHowToWait) {
    {
        const Variable nothing("OMP_WAIT_POLICY", std::nullopt);
        EXPECT_EQ(shimmy_json({"report-bug"})["environment"].value("GOMP_SPINCOUNT", ""), SHORT_WAIT);
    }
    const Variable own("OMP_WAIT_POLICY", "active");
    EXPECT_FALSE(shimmy_json({"report-bug"})["environment"].contains("GOMP_SPINCOUNT"));
}

// Then the running file is the linker, which would take the next word for a program.
TEST(ShortWaits, AreLeftWhereTheDynamicLinkerIsCalledByName) {
    const fs::path linker = "/lib64/ld-linux-x86-64.so.2";
    if (!fs::exists(linker)) GTEST_SKIP() << "no " << linker << " on this machine";
    const Variable nothing("OMP_WAIT_POLICY", std::nullopt);
    const ProcessResult result = run_process({linker.string(), SHIMMY_PROGRAM, "--version"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.out.rfind("shimmy ", 0), 0U) << result.out;
}

}  // namespace
}  // namespace shimmy::e2e

// The program under test, as a user runs it.
#pragma once

#include "base/json.h"
#include "base/process/subprocess.h"

#include <gtest/gtest.h>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

namespace shimmy::e2e {

namespace fs = std::filesystem;

inline constexpr std::chrono::minutes RUN_TIMEOUT{4};

// What is under test: what the build made, or an installed copy of it (modelled_gpu.h).
inline std::string program_under_test = SHIMMY_PROGRAM;

// shimmy ARGS…
inline ProcessResult shimmy(std::vector<std::string> args) {
    args.insert(args.begin(), program_under_test);
    return run_process(args, RUN_TIMEOUT);
}

// shimmy ARGS… --json: the run must succeed and print one document and nothing else.
inline Json shimmy_json(std::vector<std::string> args) {
    args.emplace_back("--json");
    const ProcessResult result = shimmy(args);
    EXPECT_EQ(result.exit_code, 0) << result.err << result.out;
    return Json::parse(result.out, nullptr, /*allow_exceptions=*/false);
}

// The run must fail with this exit code and say one line on stderr that holds all of `parts`. Nothing on stdout.
inline void expect_failure(const std::vector<std::string> & args, int exit_code,
                           const std::vector<std::string> & parts) {
    const ProcessResult result = shimmy(args);
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    EXPECT_EQ(result.err.rfind("shimmy: ", 0), 0U) << result.err;
    for (const std::string & part : parts)
        EXPECT_NE(result.err.find(part), std::string::npos) << "'" << part << "' not in: " << result.err;
}

inline fs::path tiny_moe() {
    return fs::path(SHIMMY_SOURCE_DIR) / "models/tiny-moe/tiny-moe-f16.gguf";
}

// Text that it was not trained on.
inline const std::string EVAL = std::string(SHIMMY_SOURCE_DIR) + "/models/tiny-moe/eval.txt";

// The embedded model in another quantization, made once per build folder.
fs::path tiny_moe(const std::string & quantization);

// A synthetic model of a reference shape with few layers and half the experts, made once per build folder. Its weights
// are zeros in a hole of the file: placement and memory are those of the real model, the text is not. Half, because
// llvmpipe takes no tensor above 128 MiB, and the experts of a layer are one.
fs::path synthetic(const std::string & shape, int n_layers, const std::string & quantization);
// The text of such a shape's file, all layers, with its number of experts divided by `divisor`.
std::string with_fewer_experts(const std::string & shape, int divisor);
// The whole shape.
fs::path synthetic_whole(const std::string & shape, const std::string & quantization);

inline size_t n_files(const fs::path & dir) {
    return static_cast<size_t>(std::distance(fs::directory_iterator(dir), fs::directory_iterator()));
}

// True where a Vulkan device is there, llvmpipe included. Tests that need one skip with the reason otherwise.
bool has_gpu();

#define SKIP_WITHOUT_GPU()       \
    if (!shimmy::e2e::has_gpu()) \
    GTEST_SKIP() << "no GPU device, not even llvmpipe (mesa-vulkan-drivers): see shimmy gpu-info"

}  // namespace shimmy::e2e

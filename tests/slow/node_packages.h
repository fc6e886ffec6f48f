// Clients from npm, fetched once.
#pragma once

#include "base/process/subprocess.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

namespace shimmy::e2e {

// What a program that succeeds prints, without the last line feed.
inline std::string output_of(const std::vector<std::string> & argv) {
    const ProcessResult result = run_process(argv, std::chrono::minutes(10));
    EXPECT_TRUE(result.ok()) << argv.front() << ": " << result.err << result.out;
    std::string out = result.out;
    while (!out.empty() && out.back() == '\n')
        out.pop_back();
    return out;
}

// The folder that holds node_modules.
inline std::string node_packages() {
    return output_of({std::string(SHIMMY_SOURCE_DIR) + "/scripts/fetch-node-packages.sh"});
}

}  // namespace shimmy::e2e

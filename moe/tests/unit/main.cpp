// Tests that reach inside: they link the library's code itself.
#include <gtest/gtest.h>

#include <unistd.h>
#include <cstdlib>

#include <filesystem>
#include <string>

#include "environment.h"
#include "harness.h"

extern "C" ggml_backend_reg_t ggml_backend_init(void);

ggml_backend_reg_t moe_test::plugin() {
    return ggml_backend_init();
}

int main(int argc, char ** argv) {
    testing::InitGoogleTest(&argc, argv);
    const std::string cache = testing::TempDir() + "ggml-moe-unit-" + std::to_string(getpid());
    moe_test::set_variable(moe_test::CACHE_FOLDER, cache.c_str());  // what is measured here is not kept for the user
    const int result = RUN_ALL_TESTS();
    std::filesystem::remove_all(cache);
    return result;
}

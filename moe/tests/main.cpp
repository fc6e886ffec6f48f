#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "harness.h"

// The one that GGML_MOE_PLUGIN names.
ggml_backend_reg_t moe_test::plugin() {
    static ggml_backend_reg_t reg = [] {
        const char * path = std::getenv("GGML_MOE_PLUGIN");
        return path ? ggml_backend_load(path) : nullptr;
    }();
    return reg;
}

int main(int argc, char ** argv) {
    testing::InitGoogleTest(&argc, argv);
    if (moe_test::plugin() == nullptr) {
        std::fprintf(stderr, "GGML_MOE_PLUGIN does not name a loadable plugin\n");
        return 1;
    }
    const char * want = std::getenv("GGML_MOE_ISA");
    const char * got = moe_test::proc<ggml_moe_isa_t>("ggml_moe_isa")();
    if (want != nullptr && std::strcmp(want, got) != 0) {
        std::printf("this machine cannot run %s (the plugin chose %s)\n", want, got);
        return 0;
    }
    std::printf("kernels: %s\n", got);
    return RUN_ALL_TESTS();
}

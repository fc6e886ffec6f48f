// Tests that reach inside: they link the library's code itself.
#include <gtest/gtest.h>

#include "harness.h"

extern "C" ggml_backend_reg_t ggml_backend_init(void);

ggml_backend_reg_t moe_test::plugin() {
    return ggml_backend_init();
}

int main(int argc, char ** argv) {
    testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}

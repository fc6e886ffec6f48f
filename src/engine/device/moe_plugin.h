// What libggml-moe offers beyond ggml's own interface (ggml-moe.h).
#pragma once

#include "ggml-backend.h"

namespace shimmy::engine {

// nullptr if the plugin is not loaded.
template <typename Function>
Function moe_function(const char * name) {
    ggml_backend_reg_t moe = ggml_backend_reg_by_name("MoE");
    return moe == nullptr ? nullptr : reinterpret_cast<Function>(ggml_backend_reg_get_proc_address(moe, name));
}

}  // namespace shimmy::engine

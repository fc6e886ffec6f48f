// Which operations the backend takes. Everything else stays with ggml.
#pragma once

#include "kernels/kernels.h"

struct ggml_tensor;

namespace moe {

// The weight type of a tensor; false if there are no kernels for it.
bool weight_type(const ggml_tensor * t, WType * out);

bool supports_op(const ggml_tensor * op);

}  // namespace moe

// Operations that are not products: run row by row.
#pragma once

#include "job.h"

struct ggml_tensor;

namespace moe {

GluParams glu_params(const ggml_tensor * op);

// Computes GLU, ADD_ID, RMS_NORM, ADD or MUL. False for any other operation.
bool run_simple_op(Team & team, const KernelTable & table, const ggml_tensor * op);

}  // namespace moe

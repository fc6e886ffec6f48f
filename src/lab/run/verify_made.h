// Is a file that was made the model it should be?
#pragma once

#include "engine/layout/tensor_plan.h"
#include "lab/plan/plan.h"

namespace shimmy::lab {

// Reads the file's metadata and tensor table anew: architecture and experts of the input, `type` as llama.cpp calls the
// file's (empty: any), and of every tensor the type, shape and size that llama.cpp's quantizer announced before. Throws
// Error that names what differs.
void verify_made(const Variant & variant, const std::string & type, const InputInfo & input,
                 const engine::TensorPlan & plan);

}  // namespace shimmy::lab

// Is the model with its experts on the CPU the same model? Kernels differ between devices, so the last bits of its
// predictions may; more than that is a defect.
#pragma once

#include "gguf/model_info.h"
#include "quality/divergence.h"

namespace shimmy::quality {

// The mean KL divergence, nats, of offload to baseline of one file that the kernels involved explain.
double offload_kld_bound(const gguf::ModelInfo & model);

}  // namespace shimmy::quality

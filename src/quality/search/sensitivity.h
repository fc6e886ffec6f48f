// How much quality each group of a model's tensors costs at each type, measured.
#pragma once

#include "engine/layout/tensor_override.h"
#include "engine/load/load_options.h"
#include "engine/load/placement.h"
#include "quality/evaluate.h"
#include "quality/search/type_search.h"

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace shimmy::quality {

// Routed experts (those that are read out of the FFN apart), shared experts and dense FFN, and attention are groups of
// their own, for each of up to four bands of layers; token embedding and output are two more. Their options have bytes
// and no divergence yet.
std::vector<TensorGroup> tensor_groups(const std::filesystem::path & model, engine::Placement placement);

// The tensors of a group, or all that are in one, as the quantizer takes them.
engine::TensorOverride override_of(const TensorGroup & group, const std::string & type);
std::vector<engine::TensorOverride> overrides_of(const std::vector<TensorGroup> & groups,
                                                 const std::vector<size_t> & picked);

// How many files measure_sensitivity() writes and measures.
size_t n_sensitivity_steps(const std::vector<TensorGroup> & groups);

struct SensitivityOptions {
    std::filesystem::path model;    // F16, BF16 or F32
    std::filesystem::path imatrix;  // empty: none
    std::filesystem::path scratch;  // a file of the model's size, written and removed again and again
    int n_threads = 0;
    engine::LoadOptions load;  // for running what was quantized
};

// Fills in the divergence of every group's options. A group at type t costs
//   KLD(group alone at the probe type, all else as it is) x KLD(all groups at t) / KLD(all groups at the probe type):
// groups + types measurements instead of groups x types. That the costs of groups add up, and that types relate alike
// in each, is an assumption; what it leads to is to be measured. `on_step(what, done, total)`.
void measure_sensitivity(std::vector<TensorGroup> & groups, const Reference & reference,
                         const SensitivityOptions & options,
                         const std::function<void(const std::string &, size_t, size_t)> & on_step);

}  // namespace shimmy::quality

// Types for groups of tensors under a budget, from what each costs in quality.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace shimmy::quality {

// What a group costs at one type.
struct TypeOption {
    std::string type;    // ggml's name: "q4_K"
    uint64_t bytes = 0;  // of the group's tensors
    double kld = 0.0;    // mean KL divergence that the group at this type adds
};

// Tensors that get one type together.
struct TensorGroup {
    std::string name;                  // "experts down, layers 0-7"
    bool on_device = true;             // counts against the VRAM
    std::vector<std::string> tensors;  // names
    std::vector<TypeOption> options;   // from the most bytes to the fewest; not empty
};

struct Budget {
    uint64_t total_bytes = std::numeric_limits<uint64_t>::max();   // of all groups
    uint64_t device_bytes = std::numeric_limits<uint64_t>::max();  // of the groups on the device
};

// Which option each group gets: from the best of all, the step that costs the least KL divergence per byte saved comes
// first, until the budget is kept; then what is left over buys back what it can. nullopt if the smallest options of all
// groups are beyond the budget.
std::optional<std::vector<size_t>> pick_types(const std::vector<TensorGroup> & groups, const Budget & budget);

}  // namespace shimmy::quality

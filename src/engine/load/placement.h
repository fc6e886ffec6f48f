// Where the weights of a model go.
#pragma once

#include <string>

namespace shimmy::engine {

// The three placements people compare. All other weights are on the device in each of them.
struct Placement {
    static constexpr int ALL_LAYERS = -1;

    int n_cpu_moe = 0;          // experts of the first N layers stay on the CPU; 0: none, ALL_LAYERS: of every layer
    bool is_automatic = false;  // still to be chosen (engine/predict/fit.h): n_cpu_moe says nothing yet

    static Placement baseline() { return {0}; }
    static Placement offload() { return {ALL_LAYERS}; }
    static Placement partial(int n_layers) { return {n_layers}; }
    static Placement automatic() { return {0, true}; }

    bool offloads() const { return n_cpu_moe != 0; }
    bool operator==(const Placement &) const = default;
};

// "baseline", "offload" or "n_cpu_moe=12": as in campaign files, results and tables; "auto" for one still to be chosen.
std::string to_string(Placement placement);

// "gpu", "cpu-moe" or "n-cpu-moe=12": as people say it.
std::string to_text(Placement placement);

// Either spelling of a placement that is none of "auto". Throws UsageError.
Placement parse_placement(const std::string & text);
// The same, or "auto".
Placement parse_placement_or_auto(const std::string & text);

}  // namespace shimmy::engine

// Where the weights of a model go.
#pragma once

#include <string>

namespace shimmy::engine {

// The three placements people compare. All other weights are on the device in each of them.
struct Placement {
    static constexpr int ALL_LAYERS = -1;

    int n_cpu_moe = 0;  // experts of the first N layers stay on the CPU; 0: none, ALL_LAYERS: of every layer

    static Placement baseline() { return {0}; }
    static Placement offload() { return {ALL_LAYERS}; }
    static Placement partial(int n_layers) { return {n_layers}; }

    bool offloads() const { return n_cpu_moe != 0; }
    bool operator==(const Placement &) const = default;
};

// "baseline", "offload" or "n_cpu_moe=12": as in campaign files, results and tables. parse throws UsageError.
std::string to_string(Placement placement);
Placement parse_placement(const std::string & text);

}  // namespace shimmy::engine

// What ggml knows of who reads a tensor, in the whole graph of which a backend gets a part.
#pragma once

struct ggml_cgraph;

namespace moe {

constexpr int MOST_FUSED = 256;  // nodes: a sum over 127 experts

// Whether each of these nodes but the last is read by others of them alone, and is not marked as an output. Indices of
// nodes, ascending, MOST_FUSED at most.
bool read_only_within(const ggml_cgraph * graph, const int * nodes, int n);

}  // namespace moe

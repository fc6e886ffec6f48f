#include "fusion.h"

#include "ggml.h"

// Declared in ggml-impl.h, which llama.cpp's packages leave out, and exported by libggml-base.
extern "C" {
GGML_API bool ggml_can_fuse_subgraph_ext(const struct ggml_cgraph * cgraph, const int * node_idxs, int count,
                                         const enum ggml_op * ops, const int * outputs, int num_outputs);
}

namespace moe {

bool read_only_within(const ggml_cgraph * graph, const int * nodes, int n) {
    ggml_op ops[MOST_FUSED];
    for (int i = 0; i < n; ++i) {
        ops[i] = ggml_graph_node(const_cast<ggml_cgraph *>(graph), nodes[i])->op;
    }
    return ggml_can_fuse_subgraph_ext(graph, nodes, n, ops, nodes + n - 1, 1);
}

}  // namespace moe

// What an importance matrix has seen of a model.
#pragma once

#include <filesystem>
#include <vector>

namespace shimmy::engine {

struct UnreachedExpert {
    int layer = 0;
    int expert = 0;
};

struct ImatrixCoverage {
    int n_tensors = 0;
    int n_chunks = 0;
    int n_experts = 0;  // of all layers together
    std::vector<UnreachedExpert>
        unreached;  // no token of the text was routed to them: the matrix knows nothing of them
};

// Of llama-imatrix's GGUF format, which counts tokens per expert. Throws Error naming the file.
ImatrixCoverage read_imatrix_coverage(const std::filesystem::path & path);

}  // namespace shimmy::engine

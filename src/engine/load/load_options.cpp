#include "engine/load/load_options.h"

#include "base/error.h"

#include <algorithm>

namespace shimmy::engine {

namespace {

constexpr uint32_t DEFAULT_N_CTX = 4096;

}  // namespace

const gguf::GgufFile & LoadOptions::open_file() {
    if (!file || file->path() != path) file = std::make_shared<const gguf::GgufFile>(path);
    return *file;
}

uint32_t context_size(const LoadOptions & options, uint32_t n_ctx_trained) {
    if (options.n_ctx > n_ctx_trained) {
        fail_usage("{}: a context of {} tokens was asked for, but the model was trained for {} (--ctx {} at most)",
                   options.shown_name(), options.n_ctx, n_ctx_trained, n_ctx_trained);
    }
    const uint32_t n_ctx = options.n_ctx > 0 ? options.n_ctx : std::min(DEFAULT_N_CTX, n_ctx_trained);
    return n_ctx * options.n_parallel;
}

}  // namespace shimmy::engine

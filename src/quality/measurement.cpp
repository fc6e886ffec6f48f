#include "quality/measurement.h"

#include "base/digest.h"
#include "base/error.h"
#include "engine/device/device.h"
#include "engine/llama/version.h"

#include <algorithm>

namespace shimmy::quality {

namespace {

// From 32 tokens on llama.cpp uploads experts in RAM to the GPU and computes them there: only smaller batches, as in
// decoding, take the CPU's kernels.
constexpr uint32_t N_UBATCH_ON_CPU = 16;
constexpr int MAX_OFFLOAD_CHUNKS_IN_SOFTWARE = 1;
constexpr uint32_t MAX_OFFLOAD_CHUNK_IN_SOFTWARE = 64;  // tokens
constexpr uint32_t MIN_CHUNK = 16;                      // tokens: less scores nothing worth the name

}  // namespace

Measurement::Measurement(MeasurementOptions options)
    : options_(std::move(options)), cache_(options_.cache_folder, options_.cache_bytes) {
    if (options_.load.n_ctx < MIN_CHUNK) fail_usage("--ctx: a chunk needs {} tokens at least", MIN_CHUNK);
}

Reference Measurement::reference(const std::string & base, const RunAs & as) {
    ReferenceOptions reference;
    reference.load = load_options(base, as);
    reference.text = options_.text;
    reference.n_chunks = static_cast<size_t>(as.n_chunks);
    reference.settings = settings(reference.load, as.n_chunks);
    Reference result(reference, cache_, options_.progress("base " + base));
    if (!cache_.note().empty()) options_.on_note(cache_.note());
    return result;
}

Comparison Measurement::compare(const Reference & reference, const std::string & file, const RunAs & as) const {
    return reference.compare(load_options(file, as), options_.progress(file));
}

Comparison Measurement::offload_against_baseline(const std::string & file, int n_chunks) {
    const std::string & device = options_.check_device.empty() ? options_.load.device : options_.check_device;
    const bool software = engine::find_device(device).software;
    const int n_allowed = software ? MAX_OFFLOAD_CHUNKS_IN_SOFTWARE : MAX_OFFLOAD_CHUNKS;
    const int n_most = n_chunks == 0 ? n_allowed : std::min(n_chunks, n_allowed);
    const uint32_t n_ctx = software ? MAX_OFFLOAD_CHUNK_IN_SOFTWARE : 0;
    const Reference baseline = reference(file, {engine::Placement::baseline(), n_most, N_UBATCH_ON_CPU, device, n_ctx});
    return compare(baseline, file, {engine::Placement::offload(), n_most, N_UBATCH_ON_CPU, device, n_ctx});
}

engine::LoadOptions Measurement::load_options(const std::string & file, const RunAs & as) const {
    engine::LoadOptions load = options_.load;
    load.path = file;
    load.placement = as.placement;
    load.n_ubatch = as.n_ubatch;
    if (!as.device.empty()) load.device = as.device;
    if (as.n_ctx > 0) load.n_ctx = std::min(load.n_ctx, as.n_ctx);
    return load;
}

Json Measurement::settings(const engine::LoadOptions & load, int n_chunks) const {
    const engine::Device device = engine::find_device(load.device);
    return {{"model_sha256", options_.sha256(load.path)},
            {"text_sha256", sha256_hex(options_.text)},
            {"n_ctx", load.n_ctx},
            {"n_chunks", n_chunks},
            {"n_ubatch", load.n_ubatch},
            {"n_threads", load.n_threads},
            {"placement", engine::to_string(load.placement)},
            {"device", device.backend + " " + device.description},
            {"moe_backend", options_.uses_moe_backend},
            {"llama_cpp_version", engine::llama_cpp_version()}};
}

}  // namespace shimmy::quality

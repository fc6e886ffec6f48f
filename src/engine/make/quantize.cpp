#include "engine/make/quantize.h"

#include "base/error.h"
#include "base/files.h"
#include "base/host/host.h"
#include "base/process/interrupt.h"
#include "base/text.h"
#include "base/units.h"
#include "engine/load/log.h"
#include "engine/make/imatrix.h"
#include "engine/predict/quantization.h"
#include "engine/predict/tensor_override_list.h"
#include "engine/predict/tensor_plan.h"
#include "engine/predict/tensor_types.h"
#include "gguf/file_type.h"
#include "gguf/gguf_file.h"

#include "llama.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <optional>

namespace shimmy::engine {

namespace {

// llama.cpp's quantizer has no progress callback and cannot be stopped, but it logs a line "[  12/ 291] name …" before
// each tensor, on the calling thread, and turns exceptions into a failed call. So the log callback is the hook for
// both.
struct ProgressHook {
    const std::function<void(uint64_t, uint64_t)> & on_tensor;
    ggml_log_callback previous = nullptr;
    void * previous_data = nullptr;

    explicit ProgressHook(const std::function<void(uint64_t, uint64_t)> & callback) : on_tensor(callback) {
        llama_log_get(&previous, &previous_data);
        llama_log_set(&ProgressHook::on_log, this);
    }
    ~ProgressHook() { llama_log_set(previous, previous_data); }
    ProgressHook(const ProgressHook &) = delete;
    ProgressHook & operator=(const ProgressHook &) = delete;

    static void on_log(ggml_log_level level, const char * text, void * user_data) {
        const auto * self = static_cast<ProgressHook *>(user_data);
        if (self->previous != nullptr) self->previous(level, text, self->previous_data);
        unsigned index = 0;
        unsigned total = 0;
        if (std::sscanf(text, "[%u/%u]", &index, &total) != 2) return;
        check_interrupted();
        if (self->on_tensor) self->on_tensor(index - 1, total);
    }
};

// llama.cpp finds this out only when it comes to the tensor.
void require_imatrix(const TensorPlan & plan, const QuantizeOptions & options) {
    if (!options.imatrix.empty()) return;
    for (const PlannedTensor & tensor : plan.tensors) {
        if (ggml_quantize_requires_imatrix(tensor_type_named(tensor.type)))
            fail("{}: {} of {} needs an importance matrix: make one with shimmy imatrix, and pass it with --imatrix",
                 options.input.string(), upper(tensor.type), tensor.name);
    }
}

}  // namespace

void require_quantizable(const fs::path & input) {
    const gguf::GgufFile file(input);
    for (const gguf::TensorInfo & tensor : file.tensors()) {
        if (!gguf::is_float_type(tensor.type)) {
            fail("{}: already quantized ({} is {}): quantize the F16 or BF16 original instead", input.string(),
                 tensor.name, upper(tensor.type));
        }
    }
}

void quantize(const QuantizeOptions & options, const std::function<void(uint64_t done, uint64_t total)> & on_tensor) {
    require_quantizable(options.input);
    const TensorPlan plan = plan_tensors(options.input, options.type, options.tensor_types);
    require_imatrix(plan, options);
    const fs::path dir = fs::absolute(options.output).parent_path();
    ensure_writable_dir(dir);
    const uint64_t needed_bytes = plan.total_bytes() + DISK_MARGIN_BYTES;
    const uint64_t free_bytes = free_disk_bytes(dir);
    if (needed_bytes > free_bytes) {
        fail("{}: needs {} of disk, and {} is free: {} too little", options.output.string(), format_bytes(needed_bytes),
             format_bytes(free_bytes), format_bytes(needed_bytes - free_bytes));
    }

    llama_model_quantize_params params = llama_model_quantize_default_params();
    params.ftype = static_cast<llama_ftype>(quantization_ftype(options.type));
    params.nthread = options.n_threads > 0 ? options.n_threads : default_threads();
    std::optional<Imatrix> imatrix;
    if (!options.imatrix.empty()) {
        imatrix.emplace(options.imatrix);
        params.imatrix = imatrix->data();
        params.kv_overrides = imatrix->metadata();
    }

    const auto overrides = override_list(options.tensor_types);
    params.tt_overrides = overrides.data();

    PartFile part(options.output);
    const LogCapture log;
    const ProgressHook hook(on_tensor);
    const bool ok = llama_model_quantize(options.input.c_str(), part.path().c_str(), &params) == 0;
    check_interrupted();
    if (!ok) {
        const std::string reason = log.reason("llama.cpp's quantizer failed (try -vv)");
        if (reason.find("iostream error") != std::string::npos)  // what the output's stream says when a write fails
            fail("{}: could not be written ({} free there)", options.output.string(),
                 format_bytes(free_disk_bytes(dir)));
        fail("{}: {}: {}", options.input.string(), options.type, reason);
    }
    part.commit();
}

}  // namespace shimmy::engine

#include "engine/make/quantize.h"

#include "base/error.h"
#include "base/files.h"
#include "base/host/host.h"
#include "base/last_words.h"
#include "base/process/interrupt.h"
#include "base/text/text.h"
#include "base/text/units.h"
#include "engine/layout/quantization.h"
#include "engine/layout/tensor_plan.h"
#include "engine/layout/tensor_types.h"
#include "engine/llama/log.h"
#include "engine/make/imatrix.h"
#include "gguf/file_type.h"
#include "gguf/gguf_file.h"
#include "gguf/model_info.h"
#include "gguf/problems.h"

#include "gguf.h"
#include "llama.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <optional>

namespace shimmy::engine {

namespace {

constexpr const char * ALIGNMENT_KEY = "general.alignment";

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

// As llama.cpp's quantizer decides it.
bool needs_imatrix(const PlannedTensor & tensor) {
    if (tensor.name == "token_embd.weight" || tensor.name == "output.weight") return false;
    const ggml_type type = tensor_type_named(tensor.type);
    return ggml_quantize_requires_imatrix(type) || type == GGML_TYPE_IQ1_M || type == GGML_TYPE_IQ2_S ||
           type == GGML_TYPE_IQ3_XXS;
}

// llama.cpp finds this out only when it comes to the tensor.
void require_imatrix(const TensorPlan & plan, const QuantizeOptions & options, const Imatrix * imatrix) {
    for (const PlannedTensor & tensor : plan.tensors) {
        const uint64_t n_experts = tensor.shape.size() > 2 ? static_cast<uint64_t>(tensor.shape[2]) : 1;
        const uint64_t n_columns = tensor.shape.empty() ? 0 : static_cast<uint64_t>(tensor.shape.front());
        const auto n_values = imatrix == nullptr ? std::nullopt : imatrix->n_values(tensor.name);
        if (n_values && *n_values != n_columns * n_experts && tensor.name != "token_embd.weight")
            fail("{}: holds {} values of {}, which has {} in the model: it was made from another one",
                 options.imatrix.string(), *n_values, tensor.name, n_columns * n_experts);
        if (!needs_imatrix(tensor)) continue;
        const std::string wanted = fmt::format("{} of {}", upper(tensor.type), tensor.name);
        if (imatrix == nullptr)
            fail("{}: {} needs an importance matrix: make one with shimmy imatrix, and pass it with --imatrix",
                 options.input.string(), wanted);
        if (!n_values)
            fail("{}: does not hold {}, which {} needs: make it from this model, with a longer text",
                 options.imatrix.string(), tensor.name, wanted);
    }
}

// What the quantized file says of itself beside what the original says.
std::vector<llama_model_kv_override> added_metadata(const gguf::GgufFile & input, const Imatrix * imatrix) {
    std::vector<llama_model_kv_override> added;
    if (imatrix != nullptr) {
        for (const llama_model_kv_override * one = imatrix->metadata(); one->key[0] != '\0'; ++one)
            added.push_back(*one);
    }
    // llama.cpp copies the key, and pads to GGUF's own alignment whatever it says: such a file could not be read.
    if (input.metadata().find(ALIGNMENT_KEY) != nullptr) {
        llama_model_kv_override alignment{};
        alignment.tag = LLAMA_KV_OVERRIDE_TYPE_INT;
        std::string(ALIGNMENT_KEY).copy(alignment.key, sizeof(alignment.key) - 1);
        alignment.val_i64 = GGUF_DEFAULT_ALIGNMENT;
        added.push_back(alignment);
    }
    added.push_back({});
    return added;
}

// Quantized already, or of a type that the quantizer does not read. Tables of whole numbers are copied.
const gguf::TensorInfo * find_unquantizable(const gguf::GgufFile & file) {
    const auto & tensors = file.tensors();
    const auto found = std::find_if(tensors.begin(), tensors.end(), [](const gguf::TensorInfo & tensor) {
        const bool is_integer = tensor.type.starts_with('i') && !tensor.type.starts_with("iq");
        return !gguf::is_float_type(tensor.type) && !is_integer;
    });
    return found == tensors.end() ? nullptr : &*found;
}

void require_disk_for(const TensorPlan & plan, const fs::path & output, const fs::path & dir) {
    const uint64_t needed_bytes = plan.total_bytes() + DISK_MARGIN_BYTES;
    const uint64_t free_bytes = free_disk_bytes(dir);
    if (needed_bytes <= free_bytes) return;
    fail("{}: needs {} of disk, and {} is free: {} too little", output.string(), format_bytes(needed_bytes),
         format_bytes(free_bytes), format_bytes(needed_bytes - free_bytes));
}

// What llama.cpp has written must be what was planned before it replaces anything.
void require_whole(const fs::path & written, const TensorPlan & plan, const fs::path & output) {
    std::string why;
    try {
        const gguf::GgufFile file(written);
        if (file.tensors().size() == plan.tensors.size()) return;
        why = fmt::format("it holds {} tensors in place of {}", file.tensors().size(), plan.tensors.size());
    } catch (const Error & error) {
        why = error.what();
        if (why.starts_with(written.string() + ": ")) why.erase(0, written.string().size() + 2);
    }
    fail("{}: came out damaged, and was not kept: {}", output.string(), why);
}

}  // namespace

void require_quantizable(const fs::path & input) {
    const gguf::GgufFile file(input);
    gguf::require_usable(file);
    (void)gguf::read_model_info(file);  // what cannot be read of the input could not be read of the result
    const gguf::TensorInfo * tensor = find_unquantizable(file);
    if (tensor == nullptr) return;
    fail("{}: already quantized ({} is {}): quantize the F16 or BF16 original instead", input.string(), tensor->name,
         upper(tensor->type));
}

bool is_quantizable(const gguf::GgufFile & file) {
    return find_unquantizable(file) == nullptr;
}

namespace {

// What llama.cpp is asked to write, and with what.
struct Work {
    TensorPlan plan;
    std::optional<Imatrix> imatrix;

    explicit Work(const QuantizeOptions & options)
        : plan(plan_tensors(options.input, options.type, options.tensor_types)) {
        if (!options.imatrix.empty()) imatrix.emplace(options.imatrix);
        require_imatrix(plan, options, imatrix ? &*imatrix : nullptr);
    }
};

}  // namespace

void require_possible(const QuantizeOptions & options) {
    require_quantizable(options.input);
    const Work work(options);
}

std::vector<Fallback> quantize(const QuantizeOptions & options,
                               const std::function<void(uint64_t done, uint64_t total)> & on_tensor) {
    const Subject subject(options.input.string());
    const EndsWithinASecond soon;
    require_quantizable(options.input);
    const Work work(options);
    const TensorPlan & plan = work.plan;
    const auto & imatrix = work.imatrix;
    const fs::path dir = fs::absolute(options.output).parent_path();
    ensure_writable_dir(dir);
    require_disk_for(plan, options.output, dir);

    llama_model_quantize_params params = llama_model_quantize_default_params();
    params.ftype = static_cast<llama_ftype>(quantization_ftype(options.type));
    params.nthread = options.n_threads > 0 ? options.n_threads : default_threads();
    if (imatrix) params.imatrix = imatrix->data();
    const auto metadata = added_metadata(gguf::GgufFile(options.input), imatrix ? &*imatrix : nullptr);
    params.kv_overrides = metadata.data();
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
    require_whole(part.path(), plan, options.output);
    part.commit();
    return plan.fallbacks;
}

}  // namespace shimmy::engine

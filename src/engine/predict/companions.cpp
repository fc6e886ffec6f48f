#include "engine/predict/companions.h"

#include "base/error.h"
#include "base/files.h"
#include "engine/llama/log.h"

#include "mtmd.h"
#include "speculative.h"

#include <algorithm>

namespace shimmy::engine {

namespace {

void add_model_bytes(MemoryUse & use, ggml_backend_dev_t device, uint64_t bytes) {
    const ggml_backend_buffer_type_t type = ggml_backend_dev_buffer_type(device);
    BufferMemory buffer;
    buffer.host = is_in_ram(type);
    buffer.device = buffer.host ? "CPU" : ggml_backend_dev_name(device);
    buffer.buffer_type = ggml_backend_buft_name(type);
    buffer.model_bytes = bytes;
    add(use, MemoryUse{{buffer}});
}

// Each part of an adapter lies where the weight does that it changes: the first device has the most of it at worst.
void add_adapters(MemoryUse & use, const LoadParams & params) {
    for (const common_adapter_lora_info & adapter : params.common().lora_adapters) {
        std::error_code error;
        const uint64_t bytes = fs::file_size(adapter.path, error);
        if (error) fail("{}: {}", adapter.path, error.message());
        ggml_backend_dev_t device = params.backend_devices().front();
        if (device == nullptr) device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
        add_model_bytes(use, device, bytes);
    }
}

bool drafts_by_itself(const common_params & params) {
    return std::find(params.speculative.types.begin(), params.speculative.types.end(),
                     COMMON_SPECULATIVE_TYPE_DRAFT_MTP) != params.speculative.types.end();
}

// As common_speculative_init_result loads it.
void add_draft(MemoryUse & use, const LoadParams & params, llama_model * model, llama_context * context) {
    const bool has_model = params.common().speculative.has_dft();
    if (!has_model && !drafts_by_itself(params.common())) return;
    common_params draft = common_base_params_to_speculative(params.common());
    llama_context_params context_params = common_context_params_to_llama(draft);
    context_params.n_ctx = llama_n_ctx(context);
    context_params.n_seq_max = llama_n_seq_max(context);
    context_params.n_batch = llama_n_batch(context);
    context_params.n_ubatch = llama_n_ubatch(context);
    context_params.n_rs_seq = 0;
    context_params.ctx_other = context;
    if (drafts_by_itself(draft)) context_params.ctx_type = LLAMA_CONTEXT_TYPE_MTP;
    const LogCapture log;
    llama_model_ptr own;
    if (has_model) {
        own.reset(llama_model_load_from_file(draft.model.path.c_str(), common_model_params_to_llama(draft)));
        if (!own) fail("{}: {}", draft.model.path, log.reason("llama.cpp could not load this draft model (try -vv)"));
    }
    const llama_context_ptr of_draft(llama_init_from_model(has_model ? own.get() : model, context_params));
    if (!of_draft) fail("no context for drafting could be created: {}", log.reason("try -vv"));
    MemoryUse more = read_llama_memory(of_draft.get());
    for (BufferMemory & buffer : more.buffers)
        buffer.model_bytes = has_model ? buffer.model_bytes : 0;  // its weights are the model's own
    add(use, more);
}

void add_projector(MemoryUse & use, const common_params & params) {
    if (params.mmproj.path.empty()) return;
    mtmd_context_params context = mtmd_context_params_default();
    context.use_gpu = params.mmproj_use_gpu;
    context.device = params.mmproj_device;
    context.print_timings = false;
    context.flash_attn_type = params.flash_attn_type;
    context.warmup = false;
    context.image_min_tokens = params.image_min_tokens;
    context.image_max_tokens = params.image_max_tokens;
    context.batch_max_tokens = params.mtmd_batch_max_tokens;
    const LogCapture log;
    const auto bytes = mtmd_get_memory_usage(params.mmproj.path.c_str(), context);
    if (bytes.empty()) fail("{}: {}", params.mmproj.path, log.reason("this projector cannot be read (try -vv)"));
    for (const auto & [device, size] : bytes)
        add_model_bytes(use, device, size);
}

}  // namespace

bool has_companions(const common_params & params) {
    return !params.lora_adapters.empty() || params.speculative.has_dft() || drafts_by_itself(params) ||
           !params.mmproj.path.empty();
}

void add_companions(MemoryUse & use, const LoadParams & params, llama_model * model, llama_context * context) {
    add_adapters(use, params);
    add_draft(use, params, model, context);
    add_projector(use, params.common());
}

}  // namespace shimmy::engine

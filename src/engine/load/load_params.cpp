#include "engine/load/load_params.h"

#include "base/error.h"
#include "base/host/host.h"
#include "base/process/interrupt.h"
#include "engine/device/device.h"
#include "engine/device/modelled_device.h"
#include "engine/device/moe_plugin.h"
#include "engine/llama/llama_internal.h"
#include "engine/llama/log.h"
#include "engine/load/expert_pattern.h"
#include "engine/load/llama_params.h"
#include "gguf/expert_tensors.h"
#include "gguf/model_info.h"
#include "gguf/problems.h"
#include "gguf/purpose.h"

#include "common.h"
#include "ggml-moe.h"
#include "llama-ext.h"

#include <algorithm>
#include <tuple>

namespace shimmy::engine {

namespace {

// Null-terminated.
std::vector<ggml_backend_dev_t> backend_devices_of(const std::vector<Device> & gpus, bool modelled) {
    std::vector<ggml_backend_dev_t> result;
    for (size_t i = 0; i < gpus.size(); ++i)
        result.push_back(modelled ? modelled_cuda_device(i) : ggml_backend_dev_by_name(gpus[i].name.c_str()));
    result.push_back(nullptr);
    return result;
}

std::vector<Device> resolve_gpus(const std::string & wanted, bool no_alloc) {
    if (wanted.starts_with(MODELLED_CUDA) && !no_alloc) fail_usage("device '{}' exists for estimates only", wanted);
    return gpus_in_use(wanted);
}

// `user_data`: the options. False ends the load.
bool on_progress(float progress, void * user_data) {
    const auto * options = static_cast<const LoadOptions *>(user_data);
    if (options->on_progress) options->on_progress(progress);
    return !interrupted();
}

bool on_abort(void * /*user_data*/) {
    return interrupted();
}

}  // namespace

// As llama.cpp tells it: other models with such layers have no graph for them.
bool predicts_further_tokens(const gguf::GgufFile & file) {
    const auto & tensors = file.tensors();
    return gguf::read_model_info(file).n_layers_nextn > 0 &&
           std::any_of(tensors.begin(), tensors.end(),
                       [](const gguf::TensorInfo & tensor) { return tensor.name.ends_with(".nextn.eh_proj.weight"); });
}

LoadParams::LoadParams(const LoadOptions & options, bool no_alloc)
    : options_(options),
      no_alloc_(no_alloc),
      gpus_(resolve_gpus(options.device, no_alloc)),
      device_(gpus_.empty() ? find_device(options.device) : gpus_.front()),
      n_threads_(options.n_threads > 0 ? options.n_threads : default_threads()),
      devices_(backend_devices_of(gpus_, options.device.starts_with(MODELLED_CUDA))) {
    if (!options.path.empty()) {
        const gguf::GgufFile & file = options_.open_file();
        looks_ahead_ = gguf::looks_ahead(file);
        drafts_itself_ = options.measures_speculation && predicts_further_tokens(file);
        can_be_mapped_ = gguf::can_be_mapped(file);
        is_larger_than_ram_ = !no_alloc && file.size_bytes() > available_ram_bytes();
    }
    const Placement placement = options.placement;
    if (placement == Placement::offload()) {
        pattern_ = LLM_FFN_EXPS_REGEX;
    } else if (placement.n_cpu_moe > 0) {
        pattern_ = experts_below(placement.n_cpu_moe);
    }
    apply_llama_args(options_.llama_args, common_);
    // llama.cpp's scheduler hands no batch to the GPU then, so the plugin must not leave any to it. The plugin reads
    // the command line of its process, which in a worker of `serve` has no options.
    if (common_.no_op_offload && !no_alloc) keep_batches_in_moe_backend();
    overrides_ = common_.tensor_buft_overrides;  // the first match decides: what the user said comes first
    if (!pattern_.empty()) overrides_.push_back({pattern_.c_str(), ggml_backend_cpu_buffer_type()});
    overrides_.push_back({nullptr, nullptr});
    set_common();
}

// What this program decides, whatever the user's llama_args say.
void LoadParams::set_common() {
    common_.model.path = options_.path;
    common_.devices = devices_;
    common_.tensor_buft_overrides = overrides_.size() > 1 ? overrides_ : decltype(overrides_){};
    common_.n_gpu_layers = device_.is_gpu() ? -2 : 0;  // -2: all of them
    // llama.cpp makes each share part of the number of layers, so a share that is a number of layers is kept to.
    if (splits_layers())
        std::copy(options_.layers_of_gpu.begin(), options_.layers_of_gpu.end(), std::begin(common_.tensor_split));
    // llama.cpp divides by what is free of all GPUs, and one may be full.
    if (gpus_.size() == 1) common_.tensor_split[0] = 1.0F;
    common_.fit_params = false;  // what does not fit is refused; llama.cpp would change the placement
    common_.no_alloc = no_alloc_;
    // A mapping would be an allocation.
    if (no_alloc_ || !can_be_mapped_) common_.load_mode = LLAMA_LOAD_MODE_NONE;
    common_.cpuparams.n_threads = n_threads_;
    if (common_.cpuparams_batch.n_threads <= 0) common_.cpuparams_batch.n_threads = n_threads_;
    common_.n_batch = static_cast<int32_t>(options_.n_batch);
    common_.n_ubatch = static_cast<int32_t>(options_.n_ubatch);
    common_.n_parallel = static_cast<int32_t>(options_.n_parallel);
    // llama.cpp's warm-up computes every expert: the whole file would be read.
    const bool has_experts_in_ram = !device_.is_gpu() || options_.placement.offloads();
    common_.warmup = options_.warm_up && !(is_larger_than_ram_ && has_experts_in_ram);
    common_.no_perf = !options_.serves;
    if (common_.mmproj_use_gpu && common_.mmproj_device == nullptr) common_.mmproj_device = devices_.front();
    common_.mmproj_use_gpu = common_.mmproj_use_gpu && common_.mmproj_device != nullptr;
    // Not beside a projector: its drafts do not go on behind a picture.
    if (drafts_itself_ && !common_.speculative.has_dft() && common_.mmproj.path.empty())
        common_.speculative.types = {COMMON_SPECULATIVE_TYPE_DRAFT_MTP};
    const bool names_type = std::any_of(common_.speculative.types.begin(), common_.speculative.types.end(),
                                        [](auto type) { return type != COMMON_SPECULATIVE_TYPE_NONE; });
    if (common_.speculative.has_dft() && !names_type)
        common_.speculative.types = {COMMON_SPECULATIVE_TYPE_DRAFT_SIMPLE};
}

bool LoadParams::splits_layers() const {
    return gpus_.size() > 1 && common_.split_mode == LLAMA_SPLIT_MODE_LAYER &&
           std::all_of(std::begin(common_.tensor_split), std::end(common_.tensor_split),
                       [](float share) { return share == 0.0F; });
}

llama_model_params LoadParams::model_params() const {
    // It only reads; the result points into it.
    llama_model_params params = common_model_params_to_llama(const_cast<common_params &>(common_));
    params.tensor_buft_overrides = overrides_.size() > 1 ? overrides_.data() : nullptr;
    params.n_gpu_layers = device_.is_gpu() ? -1 : 0;
    params.progress_callback = on_progress;
    params.progress_callback_user_data = const_cast<LoadOptions *>(&options_);
    return params;
}

llama_context_params LoadParams::context_params(uint32_t n_ctx_trained) const {
    llama_context_params params = common_context_params_to_llama(common_);
    params.n_ctx = context_size(options_, n_ctx_trained);
    params.n_seq_max = options_.n_parallel;
    params.n_batch = std::min(options_.n_batch, params.n_ctx);
    params.n_ubatch = std::min(options_.n_ubatch, params.n_batch);
    if (looks_ahead_) params.n_batch = params.n_ubatch = params.n_ctx;
    if (options_.n_sharing > 1) {
        params.n_seq_max = std::min(options_.n_sharing, params.n_ubatch);  // llama.cpp asserts that it is no more
        params.kv_unified = true;
    }
    params.abort_callback = on_abort;
    return params;
}

llama_model_ptr LoadParams::load_model() const {
    const LogCapture log;
    llama_model_ptr model(llama_model_load_from_file(options_.path.c_str(), model_params()));
    check_interrupted();
    if (!model) fail("{}: {}", options_.shown_name(), log.reason("llama.cpp could not load it (try -vv)"));
    return model;
}

ModelFiles LoadParams::mapped_files() const {
    const llama_load_mode mode = common_.load_mode;
    const bool maps =
        mode == LLAMA_LOAD_MODE_AUTO || mode == LLAMA_LOAD_MODE_MMAP || mode == LLAMA_LOAD_MODE_MMAP_MLOCK;
    return maps && options_.file != nullptr ? ModelFiles(options_.file->shards()) : ModelFiles();
}

llama_context_ptr LoadParams::make_context(llama_model * model, RoutingRecorder * routing) const {
    const LogCapture log;
    llama_context_params params = context_params(static_cast<uint32_t>(llama_model_n_ctx_train(model)));
    if (routing != nullptr) {
        params.cb_eval = routing->callback();
        params.cb_eval_user_data = routing;
    }
    llama_context_ptr context(llama_init_from_model(model, params));
    if (!context) fail("{}: {}", options_.shown_name(), log.reason("no context could be created (try -vv)"));
    if (!no_alloc_) add_adapters(model, context.get());
    return context;
}

void LoadParams::add_adapters(llama_model * model, llama_context * context) const {
    std::vector<common_adapter_lora_info> adapters = common_.lora_adapters;
    for (common_adapter_lora_info & adapter : adapters) {
        const LogCapture log;
        adapter.ptr = llama_adapter_lora_init(model, adapter.path.c_str());
        if (adapter.ptr == nullptr)
            fail("{}: {}", adapter.path, log.reason("llama.cpp could not load this LoRA adapter (try -vv)"));
    }
    if (!adapters.empty()) common_set_adapter_lora(context, adapters);
}

bool is_in_ram(ggml_backend_buffer_type_t buffer_type) {
    if (ggml_backend_buft_is_host(buffer_type)) return true;
    const ggml_backend_dev_t device = ggml_backend_buft_get_device(buffer_type);
    if (device == nullptr) return true;  // the plain CPU buffer type belongs to no device
    const auto type = ggml_backend_dev_type(device);
    return type == GGML_BACKEND_DEVICE_TYPE_CPU || type == GGML_BACKEND_DEVICE_TYPE_ACCEL;
}

// Counted beside the largest buffer of the device.
void add_expert_caches(MemoryUse & use) {
    const auto read = moe_function<ggml_moe_memory_t>("ggml_moe_memory");
    if (read == nullptr) return;
    for (size_t i = 0; i < ggml_backend_dev_count(); ++i) {
        const ggml_backend_dev_t device = ggml_backend_dev_get(i);
        ggml_moe_memory memory{};
        read(&memory, device);
        if (memory.cache_bytes == 0) continue;
        BufferMemory * largest = nullptr;
        for (BufferMemory & buffer : use.buffers) {
            if (buffer.host || buffer.device != ggml_backend_dev_name(device)) continue;
            if (largest == nullptr || buffer.total_bytes() > largest->total_bytes()) largest = &buffer;
        }
        if (largest != nullptr) largest->expert_cache_bytes = memory.cache_bytes;
    }
}

MemoryUse read_llama_memory(const llama_context * context) {
    MemoryUse use;
    for (const auto & [buffer_type, bytes] : llama_get_memory_breakdown(context)) {
        if (bytes.total() == 0) continue;
        BufferMemory memory;
        memory.host = is_in_ram(buffer_type);
        memory.device = memory.host ? "CPU" : ggml_backend_dev_name(ggml_backend_buft_get_device(buffer_type));
        memory.buffer_type = ggml_backend_buft_name(buffer_type);
        memory.model_bytes = bytes.model;
        memory.context_bytes = bytes.context;
        memory.compute_bytes = bytes.compute;
        use.buffers.push_back(memory);
    }
    // llama.cpp's map is ordered by address: give the buffers an order that is the same in every run.
    std::sort(use.buffers.begin(), use.buffers.end(), [](const BufferMemory & a, const BufferMemory & b) {
        return std::tie(a.host, a.device, a.buffer_type) < std::tie(b.host, b.device, b.buffer_type);
    });
    return use;
}

MemoryUse read_memory(const llama_context * context) {
    MemoryUse use = read_llama_memory(context);
    add_expert_caches(use);
    return use;
}

std::vector<TensorPlacement> read_tensors(const llama_model * model) {
    std::vector<TensorPlacement> result;
    for (const auto & [name, tensor] : llama_internal_get_tensor_map(model)) {
        const ggml_backend_buffer_type_t buffer_type = ggml_backend_buffer_get_type(tensor->buffer);
        TensorPlacement placement;
        placement.name = name;
        placement.type = ggml_type_name(tensor->type);
        placement.buffer_type = ggml_backend_buft_name(buffer_type);
        placement.host = is_in_ram(buffer_type);
        placement.bytes = ggml_nbytes(tensor);
        placement.is_expert = gguf::is_expert_tensor(name);
        result.push_back(std::move(placement));
    }
    return result;
}

}  // namespace shimmy::engine

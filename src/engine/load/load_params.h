// Internal to the engine: LoadOptions as llama.cpp's parameter structs, with the storage they point into.
#pragma once

#include "engine/device/device.h"
#include "engine/load/load_options.h"
#include "engine/load/memory.h"
#include "engine/load/model_files.h"
#include "engine/load/routing_recorder.h"

#include "common.h"
#include "ggml-backend.h"
#include "llama-cpp.h"

#include <string>
#include <vector>

namespace shimmy::engine {

// Whether the file holds layers that predict further tokens (MTP), which the model itself does not need.
bool predicts_further_tokens(const gguf::GgufFile & file);

class LoadParams {
public:
    // Resolves the device. `no_alloc`: everything is computed and nothing allocated.
    LoadParams(const LoadOptions & options, bool no_alloc);
    LoadParams(const LoadParams &) = delete;
    LoadParams & operator=(const LoadParams &) = delete;

    // The device that holds what is not on the CPU, the first of several; the CPU itself if there is no GPU in use.
    const Device & device() const { return device_; }
    const std::vector<Device> & gpus() const { return gpus_; }
    // Whether layers go to several GPUs, and the user's llama_args do not say which.
    bool splits_layers() const;
    int n_threads() const { return n_threads_; }

    // Null-terminated; nothing else in it: the CPU only.
    const std::vector<ggml_backend_dev_t> & backend_devices() const { return devices_; }
    // Ended by {nullptr, nullptr}; they point into this object.
    const std::vector<llama_model_tensor_buft_override> & overrides() const { return overrides_; }

    // llama.cpp's form of all of it, for its server; context and batch sizes are in context_params().
    const common_params & common() const { return common_; }

    llama_model_params model_params() const;

    // `n_ctx_trained` is what the loaded model says. Throws UsageError for a context beyond it.
    llama_context_params context_params(uint32_t n_ctx_trained) const;

    // Throws Error with llama.cpp's reason.
    llama_model_ptr load_model() const;
    // Those that load_model() maps; none where it copies.
    ModelFiles mapped_files() const;
    // With the LoRA adapters, which belong to the model from then on. `routing`, if any, must outlive the context.
    llama_context_ptr make_context(llama_model * model, RoutingRecorder * routing = nullptr) const;

private:
    void set_common();
    void add_adapters(llama_model * model, llama_context * context) const;

    LoadOptions options_;
    bool no_alloc_;
    bool drafts_itself_ = false;  // where it is measured whether to
    bool looks_ahead_ = false;    // the whole context is one batch
    bool can_be_mapped_ = true;
    bool is_larger_than_ram_ = false;
    std::vector<Device> gpus_;
    Device device_;
    int n_threads_;
    std::vector<ggml_backend_dev_t> devices_;                  // null-terminated; empty list = CPU only
    std::string pattern_;                                      // of the experts that go to the CPU; empty: none
    std::vector<llama_model_tensor_buft_override> overrides_;  // {nullptr, nullptr}-terminated
    common_params common_;
};

MemoryUse read_memory(const llama_context * context);
// The same without what libggml-moe holds.
MemoryUse read_llama_memory(const llama_context * context);
// Adds what libggml-moe holds by now, which llama.cpp does not know of; read_memory() has done so at its time.
void add_expert_caches(MemoryUse & use);
std::vector<TensorPlacement> read_tensors(const llama_model * model);

// True for buffers in RAM. ggml_backend_buft_is_host() is not that: it is false for CPU_REPACK, whose bytes lie in RAM
// in a layout of its own.
bool is_in_ram(ggml_backend_buffer_type_t buffer_type);

}  // namespace shimmy::engine

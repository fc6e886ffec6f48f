#include "serve/worker/hosted_model.h"

#include "engine/llama/log.h"
#include "engine/predict/companions.h"
#include "engine/predict/estimate.h"
#include "engine/predict/fit.h"
#include "engine/predict/placement_plan.h"
#include "gguf/expert_tensors.h"
#include "gguf/model_info.h"

#include "log.h"
#include "server-common.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <string_view>

namespace shimmy::serve::worker {

namespace {

// For prompts whose slot went to another conversation. llama.cpp's default is 8 GiB of RAM.
constexpr int32_t PROMPT_CACHE_MIB = 256;

// As was asked for, or as the model says that was trained to give embeddings; else the mean over a text's tokens.
enum llama_pooling_type pooling_type(const std::string & wanted, const gguf::GgufFile & file,
                                     const std::string & arch) {
    if (wanted == "none") return LLAMA_POOLING_TYPE_NONE;
    if (wanted == "mean") return LLAMA_POOLING_TYPE_MEAN;
    if (wanted == "cls") return LLAMA_POOLING_TYPE_CLS;
    if (wanted == "last") return LLAMA_POOLING_TYPE_LAST;
    return file.metadata().find_int(arch + ".pooling_type").value_or(LLAMA_POOLING_TYPE_NONE) == LLAMA_POOLING_TYPE_NONE
               ? LLAMA_POOLING_TYPE_MEAN
               : LLAMA_POOLING_TYPE_UNSPECIFIED;
}

common_params make_params(const std::string & name, const ModelOptions & options, const engine::LoadParams & load) {
    const gguf::GgufFile & file = *options.load.file;
    const gguf::ModelInfo info = gguf::read_model_info(file);
    const llama_context_params context = load.context_params(static_cast<uint32_t>(info.n_ctx_train));
    common_params params = load.common();
    params.model_alias = {name};
    params.n_ctx = static_cast<int32_t>(context.n_ctx);
    params.n_batch = static_cast<int32_t>(context.n_batch);
    params.n_ubatch = static_cast<int32_t>(context.n_ubatch);
    if (!options.chat_template.empty()) params.chat_template = options.chat_template;
    params.embedding = options.embeddings;
    if (options.embeddings) params.pooling_type = pooling_type(options.pooling, file, info.arch);
    if (params.cache_ram_mib == common_params().cache_ram_mib) params.cache_ram_mib = PROMPT_CACHE_MIB;
    params.endpoint_metrics = true;
    params.endpoint_slots = true;
    params.ui = false;
    return params;
}

// Weights that lie in RAM: all of them where the CPU computes, else the experts that the placement left there.
uint64_t host_bytes_per_token(const gguf::GgufFile & file, bool on_gpu,
                              const std::vector<engine::TensorPlacement> & tensors) {
    int n_cpu_moe = 0;
    for (const engine::TensorPlacement & tensor : tensors) {
        if (tensor.host && tensor.is_expert) n_cpu_moe = std::max(n_cpu_moe, gguf::layer_of(tensor.name) + 1);
    }
    const engine::TokenBytes bytes = engine::token_bytes(file, n_cpu_moe);
    return on_gpu ? bytes.host : bytes.host + bytes.device;
}

std::vector<LayerExperts> experts_by_layer(const std::vector<engine::TensorPlacement> & tensors) {
    std::map<int, LayerExperts> layers;
    for (const engine::TensorPlacement & tensor : tensors) {
        if (!tensor.is_expert) continue;
        const int number = gguf::layer_of(tensor.name);
        LayerExperts & layer = layers[number];
        layer.layer = number;
        layer.buffer_types.insert(tensor.buffer_type);
        layer.bytes += tensor.bytes;
        if (tensor.host) layer.host_bytes += tensor.bytes;
    }
    std::vector<LayerExperts> result;
    result.reserve(layers.size());
    for (auto & [number, layer] : layers)
        result.push_back(std::move(layer));
    return result;
}

}  // namespace

HostedModel::HostedModel(const std::string & name, const ModelOptions & options,
                         const engine::PlacementChoice & placement)
    : options_(options),
      placement_(placement),
      load_(engine::placed(options_.load, placement_), /*no_alloc=*/false),
      files_(load_.mapped_files()),
      params_(make_params(name, options_, load_)) {
    common_log_set_verbosity_thold(options_.verbosity == 0   ? LOG_LEVEL_OUTPUT
                                   : options_.verbosity == 1 ? LOG_LEVEL_WARN
                                                             : LOG_LEVEL_INFO);
    load();
    routes_.update_meta(context_);
    meta_ = std::make_unique<server_context_meta>(context_.get_meta());
    loaded_.takes_images = meta_->has_inp_image;
    loaded_.takes_audio = meta_->has_inp_audio;
    scorer_ =
        std::make_unique<PromptScorer>(load_, const_cast<llama_model *>(llama_get_model(context_.get_llama_context())));
    describe_vocabulary();
    loop_ = std::thread([this] {
        context_.start_loop();
        loop_ended_ = true;
    });
}

HostedModel::~HostedModel() {
    // Again and again: a loop that has not begun yet would not notice.
    while (!loop_ended_) {
        context_.terminate();
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    loop_.join();
}

void HostedModel::load() {
    // Before anything is loaded: one that cannot be read is an error at once.
    engine::MemoryUse companions;
    if (engine::has_companions(load_.common()))
        companions = engine::companion_memory(engine::placed(options_.load, placement_));
    const engine::LogCapture log;
    const auto start = std::chrono::steady_clock::now();
    const bool ok = context_.load_model(params_);
    if (!ok) fail("{}: {}", options_.load.path, log.reason("llama.cpp could not load it (try -vv)"));
    llama_context * context = context_.get_llama_context();
    const llama_model * model = llama_get_model(context);
    loaded_.load_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    loaded_.placement = placement_;
    loaded_.device = load_.device();
    loaded_.n_threads = load_.n_threads();
    loaded_.n_parallel = options_.load.n_parallel;
    loaded_.n_ctx = llama_n_ctx(context) / options_.load.n_parallel;
    loaded_.has_chat_template = !options_.chat_template.empty() || llama_model_chat_template(model, nullptr) != nullptr;
    if (options_.load.warm_up) engine::open_expert_cache(context);
    if (!options_.expert_trace.empty()) engine::trace_experts(options_.expert_trace);
    loaded_.memory = engine::read_memory(context);
    engine::add(loaded_.memory, companions);
    vocab_ = llama_model_get_vocab(model);
    const std::vector<engine::TensorPlacement> tensors = engine::read_tensors(model);
    loaded_.expert_ram_bytes = engine::expert_ram_bytes(tensors);
    loaded_.host_bytes_per_token = host_bytes_per_token(*options_.load.file, load_.device().is_gpu(), tensors);
    loaded_.experts = experts_by_layer(tensors);
}

void HostedModel::describe_vocabulary() {
    for (llama_token token = 0; token < llama_vocab_n_tokens(vocab_); ++token)
        longest_token_bytes_ =
            std::max(longest_token_bytes_, std::string_view(llama_vocab_get_text(vocab_, token)).size());
    const enum llama_vocab_type type = ::llama_vocab_type(vocab_);
    keeps_spaces_ = type == LLAMA_VOCAB_TYPE_SPM || type == LLAMA_VOCAB_TYPE_BPE;
}

wire::ExpertsNow HostedModel::experts_now() const {
    wire::ExpertsNow now{engine::expert_use(llama_get_model(context_.get_llama_context())), engine::expert_cache(),
                         engine::expert_disk(), engine::expert_memory(), loaded_.memory};
    for (engine::BufferMemory & buffer : now.memory.buffers)
        buffer.expert_cache_bytes = 0;
    engine::add_expert_caches(now.memory);
    return now;
}

}  // namespace shimmy::serve::worker

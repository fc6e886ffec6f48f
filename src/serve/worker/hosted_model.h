// One model that is loaded and answers requests: llama.cpp's server context (batching of requests, chat templates,
// streaming) with its thread.
#pragma once

#include "engine/device/device.h"
#include "engine/load/load_params.h"
#include "engine/load/memory.h"
#include "serve/wire/documents.h"
#include "serve/wire/model.h"
#include "serve/worker/prompt_scorer.h"

#include "server-context.h"

#include <atomic>
#include <memory>
#include <thread>

namespace shimmy::serve::worker {

class HostedModel {
public:
    // Loads. Throws Error with the reason, engine::DoesNotFit among them.
    // `placement`: as engine::load_placed gives it.
    HostedModel(const std::string & name, const ModelOptions & options, const engine::PlacementChoice & placement);
    // Ends what runs, and frees the memory.
    ~HostedModel();
    HostedModel(const HostedModel &) = delete;
    HostedModel & operator=(const HostedModel &) = delete;

    const Loaded & loaded() const { return loaded_; }

    wire::ExpertsNow experts_now() const;

    // Those of its weights that are mapped.
    const engine::ModelFiles & files() const { return files_; }

    // For tasks, and what they are made from.
    server_response_reader reader() { return context_.get_response_reader(); }
    const server_context_meta & meta() const { return *meta_; }
    const common_params & params() const { return params_; }
    const llama_vocab * vocab() const { return vocab_; }
    // Bytes of text that one token can stand for.
    size_t longest_token_bytes() const { return longest_token_bytes_; }
    // False where a run of spaces may become one token or none, whatever its length.
    bool keeps_spaces() const { return keeps_spaces_; }

    PromptScorer & scorer() { return *scorer_; }

    // llama.cpp's handlers. They may be called from any thread.
    const server_routes & routes() const { return routes_; }

private:
    void load();
    void describe_vocabulary();

    ModelOptions options_;
    engine::PlacementChoice placement_;
    engine::LoadParams load_;
    engine::ModelFiles files_;
    common_params params_;
    server_context context_;
    server_routes routes_{params_, context_};
    std::unique_ptr<server_context_meta> meta_;
    std::unique_ptr<PromptScorer> scorer_;  // of the model, which goes with context_
    Loaded loaded_;
    const llama_vocab * vocab_ = nullptr;
    size_t longest_token_bytes_ = 1;
    bool keeps_spaces_ = true;
    std::thread loop_;
    std::atomic<bool> loop_ended_ = false;
};

}  // namespace shimmy::serve::worker

// Internal to serve/: one model that is loaded and answers requests: llama.cpp's server context (batching of requests,
// chat templates, streaming) with its thread.
#pragma once

#include "engine/load/device.h"
#include "engine/load/load_params.h"
#include "engine/load/memory.h"
#include "engine/run/expert_use.h"
#include "serve/http.h"
#include "serve/request_watch.h"
#include "serve/server.h"

#include "server-context.h"

#include <atomic>
#include <memory>
#include <thread>

namespace shimmy::serve {

class HostedModel {
public:
    // Loads. Throws Error with the reason, engine::DoesNotFit among them.
    HostedModel(const std::string & name, const ModelOptions & options);
    // Ends what runs, and frees the memory.
    ~HostedModel();
    HostedModel(const HostedModel &) = delete;
    HostedModel & operator=(const HostedModel &) = delete;

    const Loaded & loaded() const { return loaded_; }
    bool logs_requests() const { return options_.verbosity > 0; }
    // Where every weight lies.
    const std::vector<engine::TensorPlacement> & tensors() const { return tensors_; }

    // Ends the work of requests whose clients go away.
    RequestWatch & watch() const { return *watch_; }

    // Which experts its requests chose; empty where libggml-moe computes none of them.
    std::vector<engine::ExpertUse> expert_use() const;

    // llama.cpp's handlers. They may be called from any thread; a request and its answer must not outlive this object.
    const server_routes & routes() const { return routes_; }

private:
    void load();

    std::string name_;
    ModelOptions options_;
    engine::LoadParams load_;
    common_params params_;
    server_context context_;
    server_routes routes_{params_, context_};
    Loaded loaded_;
    std::vector<engine::TensorPlacement> tensors_;
    std::thread loop_;
    std::atomic<bool> loop_ended_ = false;
    std::unique_ptr<RequestWatch> watch_;  // while the loop runs
};

}  // namespace shimmy::serve

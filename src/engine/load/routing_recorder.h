// Internal to the engine: reads the router's choices out of llama.cpp's compute graph while it runs.
#pragma once

#include "engine/load/routing.h"

#include "ggml-backend.h"

#include <map>
#include <vector>

namespace shimmy::engine {

// Installed in a context's parameters. The graph is computed up to each router's choice, read, and goes on.
class RoutingRecorder {
public:
    ggml_backend_sched_eval_callback callback() const { return &RoutingRecorder::on_tensor; }

    // What was recorded since the last call, by layer.
    std::vector<LayerRouting> take();

private:
    // `ask`: is this tensor wanted; else: it is computed.
    static bool on_tensor(ggml_tensor * tensor, bool ask, void * self);
    void record(const ggml_tensor * chosen, int layer);

    std::map<int, LayerRouting> layers_;
};

}  // namespace shimmy::engine

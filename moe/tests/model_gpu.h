// A GPU that is made up: its memory is host memory that nobody else may touch, it computes with ggml's CPU backend on a
// thread of its own, as late as a modelled card would be done, and it can fail on purpose.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>

#include "ggml-backend.h"
#include "ggml.h"

namespace moe_test {

struct ModelGpuOptions {
    size_t memory = size_t(1) << 30;                                    // bytes; what does not fit is refused
    size_t max_buffer = SIZE_MAX;                                       // bytes of one buffer
    std::function<size_t()> used_by_others = [] { return size_t(0); };  // of its memory
    std::function<void(size_t used)> on_use = [](size_t) {};            // called when what is used here changes
    bool async = true;
    bool pinned_memory = true;  // offers host memory of its own
    bool integrated = false;    // uses the host's memory
    const char * backend_name = "Model";
    const char * description = "a modelled GPU";
    bool locks_pages = false;  // its backend offers ggml_backend_register_host_buffer
    std::function<bool(const ggml_tensor *)> supports = [](const ggml_tensor *) { return true; };
    int64_t offload_from = 0;  // takes expert products of so many tokens, whose weights are elsewhere; 0: none
    // Timing; 0: as fast as it can. With timing it computes nothing and copies no weights, its results are zero; an
    // upload sleeps as long as the link takes, since a card reads the host's memory by itself. Unless it `computes`:
    // then results are right, and there no sooner than the card would have them.
    bool computes = false;
    double submit_s = 0;            // of a graph: the calling thread is busy
    double launch_s = 0;            // of a graph: until the card begins
    double memory_bytes_per_s = 0;  // weights that a graph reads
    double link_bytes_per_s = 0;    // copies in either direction
};

// Precisely, at the cost of a busy processor for the last 60 us.
void wait_until(std::chrono::steady_clock::time_point t);

class ModelGpu {
public:
    explicit ModelGpu(ModelGpuOptions options = {});
    ~ModelGpu();
    ModelGpu(const ModelGpu &) = delete;
    ModelGpu & operator=(const ModelGpu &) = delete;

    ggml_backend_dev_t device();
    ggml_backend_reg_t registry();  // of this one device
    size_t used() const;            // bytes of its memory that are taken
    int backends() const;           // that have not been freed
    uint64_t graphs() const;        // computed
    uint64_t link_bytes() const;    // copied to and from its memory
    // What is locked of host memory, by address; refused from now on.
    std::map<void *, size_t> locked() const;
    void refuse_locks();
    void fail_graphs(bool fail);  // from now on every graph is refused
    void fail_allocations_above(size_t bytes);
    // As ggml's Vulkan backend reports a lost device: from now on, copies to it throw, or waiting for it.
    void throw_on_uploads();
    void throw_on_waits();

    struct State;

private:
    std::unique_ptr<State> state_;
};

}  // namespace moe_test

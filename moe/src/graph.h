// Runs the graph of one split: finds the expert FFN in it and turns it into jobs.
#pragma once

#include <cstddef>
#include <cstdint>

#include "job.h"
#include "team.h"

#include "ggml.h"

namespace moe {

// Memory that only grows, so that a repeated graph allocates nothing.
class Buffer {
public:
    Buffer() = default;
    ~Buffer();
    Buffer(const Buffer &) = delete;
    Buffer & operator=(const Buffer &) = delete;

    void * need(size_t bytes);  // 64-byte aligned; throws std::bad_alloc
    template <class T> T * array(size_t n) { return static_cast<T *>(need(n * sizeof(T))); }

private:
    void * data_ = nullptr;
    size_t size_ = 0;
};

struct Context {
    const KernelTable * table = nullptr;
    Team   team;
    Job    job;
    Buffer routing, counts, slot_weight, threads;
    Buffer acts[4];
    Buffer attention, partials;
};

// False when the graph holds an operation the backend does not know (supports_op never lets one in).
bool graph_compute(Context & c, ggml_cgraph * graph);

}  // namespace moe

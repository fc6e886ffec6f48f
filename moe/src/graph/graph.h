// Runs the graph of one split: finds the expert FFN in it and turns it into jobs.
#pragma once

#include "cpu/buffer.h"
#include "cpu/job.h"
#include "cpu/team.h"
#include "device/cache.h"
#include "disk/fetch.h"
#include "experts/trace.h"

#include "ggml.h"

namespace moe {

struct Context {
    const KernelTable * table = nullptr;
    Team team;
    Job job;
    Buffer routing, counts, slot_weight, threads;
    Buffer acts[4];
    Buffer attention, partials;
    ExpertCache cache;
    Trace trace;
    Fetch fetch;
    Buffer refused, refused_mid;  // rows that a GPU did not compute
};

// False when the graph holds an operation the backend does not know (supports_op never lets one in).
bool graph_compute(Context & c, ggml_cgraph * graph);

}  // namespace moe

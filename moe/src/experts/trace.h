// Which experts the router chose, written to the file that GGML_MOE_TRACE names: CSV, as "route_trace v1".
//
//     # route_trace v1
//     turn,phase,step,layer,slot,expert,weight,residency,expert_bytes
//
// One line per token, layer and slot of the router. phase 0: a batch of several tokens, a prompt; 1: a single one.
// step: the token, from 0 in every turn; a turn begins with a batch after single tokens. weight: the router's, 0 if it
// is not known. residency: 1 if the expert was in VRAM. expert_bytes: of all its matrices.
#pragma once

#include <cstddef>
#include <cstdint>

namespace moe {

// Of one context: where it is in its text.
class Trace {
public:
    static bool is_on();  // cheap

    // A layer begins; layers come in ascending order for each batch.
    void begin(int32_t layer, int32_t tokens);
    void add(int32_t token, int32_t slot, int32_t expert, float weight, bool in_vram, size_t expert_bytes);
    void end();  // of the layer: what was added is written

private:
    int32_t turn_ = -1, phase_ = -1, layer_ = 0, tokens_ = 0;
    int64_t step_ = 0;  // of the batch's first token
};

// Ends the trace, if there is one, and begins another in this file (null: none). False if it cannot be written.
bool trace_to(const char * name);

}  // namespace moe

// A job is what one parallel region computes: a matrix product, an expert product, or a whole gated FFN.
//
// Its phases (separated by barriers):
//   1. quantize the input rows            x      -> scratch
//   2. up products and gated activation   scratch -> mid (the GLU tensor), or the products' own tensors
//   3. quantize mid                       mid    -> scratch
//   4. down product, bias, weight, sum    scratch -> out
// Every input that a later phase needs is copied to scratch before anything is written, because the graph allocator
// may place an output over an input that the unfused graph would have finished with.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "kernels/kernels.h"
#include "team.h"

namespace moe {

constexpr int kMaxMats = 8;     // matrix products that share their input in one region
constexpr int kMaxChunk = 256;  // activation rows per tile pass: its sums (32 KiB per matrix) stay in L2

// F32 rows of a tensor, addressed by one index over its outer dimensions.
struct Rows {
    char * data = nullptr;
    int64_t ne[3] = {1, 1, 1};  // rows, then the outer dimensions
    size_t nb[3] = {0, 0, 0};   // bytes

    int64_t count() const { return ne[0] * ne[1] * ne[2]; }
    char * at(int64_t i) const {
        if (i < ne[0]) return data + size_t(i) * nb[0];
        const int64_t j = i / ne[0], l = j / ne[1];
        return data + size_t(i - j * ne[0]) * nb[0] + size_t(j - l * ne[1]) * nb[1] + size_t(l) * nb[2];
    }
};

// One expert's weights that are read from disk.
struct Arrival {
    const uint8_t * data = nullptr;
    std::atomic<bool> here{false};
};

// A weight matrix, or one per expert.
struct Weights {
    const uint8_t * data = nullptr;
    // If not null, by group: where the weights of its expert are, or will be; `data` holds none then.
    const Arrival * const * arrivals = nullptr;
    size_t first_byte = 0;                    // of an expert's weights, that these begin with
    void (*wait)(const Arrival &) = nullptr;  // returns when it is here
    size_t row_stride = 0;                    // bytes
    size_t expert_stride = 0;                 // bytes
    int32_t rows = 0;
    const TypeKernel * kernel = nullptr;
    const float * scale = nullptr;  // of each expert's products, or null
    const char * bias = nullptr;    // F32, one row per expert
    size_t bias_stride = 0;         // bytes
};

// One stored copy of the input rows.
struct Acts {
    const TypeKernel * kernel = nullptr;
    ActLayout layout;
    uint8_t * rows = nullptr;
};

// Which rows go to which expert: group g (expert[g]) has slots slot[begin[g]..begin[g+1]).
// A slot is token * used + position; without experts it is a row, and there is a group for each matrix: one, or as many
// as there are attention heads. After the last group come the slots without a valid expert: nothing is computed for
// them, and their rows are zero.
struct Routing {
    int32_t groups = 0;
    int32_t used = 1;   // slots per token
    int32_t slots = 0;  // of all tokens
    int32_t * expert = nullptr;
    int32_t * begin = nullptr;
    int32_t * slot = nullptr;
};

struct Mat {
    Weights w;
    int acts = 0;  // index into Phase::acts
    Rows out;      // by slot
};

// What becomes of the first products of an FFN. An activation without a gate is a gated one whose other factor is one,
// or the same number again.
struct Activation {
    GluParams glu;
    enum Factor { UP, ONE, ITSELF } factor = UP;
    // If less than infinity, of the activated gate, and of the factor in both directions; only of glu.op SwiGLU by UP.
    float limit = std::numeric_limits<float>::infinity();
};

// Input rows and the products over them.
struct Phase {
    int k = 0;
    Rows in;               // input rows
    bool by_token = true;  // input row of a slot: its token, or the slot itself
    Acts acts[2];
    int n_acts = 0;
    Mat mats[kMaxMats];
    int n_mats = 0;
    bool glu = false;  // mats[0] is the gate, mats[1] the up projection, if it has one; write act(gate)*up to glu_out
    Activation activation;
    Rows glu_out;
};

struct Job {
    const KernelTable * table = nullptr;
    Routing routing;
    const int32_t * order = nullptr;  // of the groups, in which products begin; null: as they are
    Phase up;
    bool has_down = false;
    Phase down;                           // one matrix
    const float * slot_weight = nullptr;  // [slots] multiplies the down product, or null
    bool sum = false;                     // add the slots of a token: out has one row per token
    int64_t tokens = 0;
    // Called by one thread once the inputs are in scratch, while the others go on: it starts what a GPU computes.
    void (*meanwhile)(void * ctx) = nullptr;
    void * meanwhile_ctx = nullptr;
    uint8_t * thread_scratch = nullptr;
    size_t thread_scratch_bytes = 0;  // of one thread
    alignas(64) std::atomic<int64_t> counter[4];
};

size_t job_thread_scratch_bytes(const KernelTable & table);
void job_run(Team & team, Job & job, int n_threads);
// Multiply-accumulates of the job: decides how many threads it is worth.
double job_work(const Job & job);

}  // namespace moe

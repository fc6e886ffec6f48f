/* libggml-moe: a ggml backend that computes Mixture-of-Experts weights on the CPU.
 *
 * The library is normally loaded at run time (GGML_BACKEND_PATH or ggml_backend_load) and needs no header: ggml finds
 * it through its registry. What is declared here is reached by name:
 *
 *     ggml_backend_reg_t reg = ggml_backend_reg_by_name("MoE");
 *     ggml_moe_expert_stats_t get = (ggml_moe_expert_stats_t)
 *         ggml_backend_reg_get_proc_address(reg, "ggml_moe_expert_stats");
 *
 * Names for ggml_backend_reg_get_proc_address:
 *     "ggml_backend_set_n_threads"   ggml_backend_set_n_threads_t (ggml-backend.h)
 *     "ggml_moe_isa"                 ggml_moe_isa_t
 *     "ggml_moe_expert_stats"        ggml_moe_expert_stats_t
 *     "ggml_moe_expert_stats_of"     ggml_moe_expert_stats_of_t
 *     "ggml_moe_expert_stats_reset"  ggml_moe_expert_stats_reset_t
 */
#ifndef GGML_MOE_H
#define GGML_MOE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The instruction set in use: "scalar", "avx2", "avxvnni", "avx512", "avx512bf16" or "amx". */
typedef const char * (*ggml_moe_isa_t)(void);

/* What one expert of one layer did since the library was loaded or the counters were reset. Of several models with such
 * a layer: their sum. */
struct ggml_moe_expert_stat {
    int32_t layer;  /* N of the tensor name "blk.N.…" */
    int32_t expert; /* 0-based */
    uint64_t hits;  /* tokens routed to it (counted once per layer, at the down projection) */
    uint64_t bytes; /* weight bytes read for it, all of its matrices */
};

/* Copies up to `capacity` entries, ordered by layer and expert, one for every expert of every layer that has run,
 * and returns how many there are. Call with capacity 0 (out may be NULL) to learn the number. Thread-safe. */
typedef size_t (*ggml_moe_expert_stats_t)(struct ggml_moe_expert_stat * out, size_t capacity);

struct ggml_backend_buffer;

/* The same for the weights that lie in one buffer of this backend (tensor->buffer), so that several models in one
 * process are told apart. What a buffer's experts did ends with it: afterwards only the total above has it. */
typedef size_t (*ggml_moe_expert_stats_of_t)(const struct ggml_backend_buffer * buffer,
                                             struct ggml_moe_expert_stat * out, size_t capacity);

/* Sets all counters to zero. Thread-safe. */
typedef void (*ggml_moe_expert_stats_reset_t)(void);

#ifdef __cplusplus
}
#endif

#endif

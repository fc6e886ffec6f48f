/* libggml-moe: a ggml backend that computes Mixture-of-Experts weights on the CPU.
 *
 * The library is normally loaded at run time (GGML_BACKEND_PATH or ggml_backend_load) and needs no header: ggml finds
 * it through its registry. What is declared here is reached by name:
 *
 *     ggml_backend_reg_t reg = ggml_backend_reg_by_name("MoE");
 *     ggml_moe_expert_stats_t get = (ggml_moe_expert_stats_t)
 *         ggml_backend_reg_get_proc_address(reg, "ggml_moe_experts");
 *
 * Names for ggml_backend_reg_get_proc_address:
 *     "ggml_backend_set_n_threads"   ggml_backend_set_n_threads_t (ggml-backend.h)
 *     "ggml_moe_isa"                 ggml_moe_isa_t
 *     "ggml_moe_experts"             ggml_moe_expert_stats_t
 *     "ggml_moe_experts_of"          ggml_moe_expert_stats_of_t
 *     "ggml_moe_expert_stats_reset"  ggml_moe_expert_stats_reset_t
 *     "ggml_moe_cache_stats"         ggml_moe_cache_stats_t
 *     "ggml_moe_disk_stats"          ggml_moe_disk_stats_t
 *     "ggml_moe_last_failure"        ggml_moe_last_failure_t
 *     "ggml_moe_memory"              ggml_moe_memory_t
 *     "ggml_moe_trace"               ggml_moe_trace_t
 */
#ifndef GGML_MOE_H
#define GGML_MOE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The instruction set in use: "scalar"; "avx2", "avxvnni", "avx512", "avx512vbmi", "avx512bf16" or "amx"; "dotprod" or
 * "i8mm". */
typedef const char * (*ggml_moe_isa_t)(void);

/* What one expert of one layer did since the library was loaded or the counters were reset. Of several models with such
 * a layer: their sum. */
struct ggml_moe_expert_stat {
    int32_t layer;   /* N of the tensor name "blk.N.…" */
    int32_t expert;  /* 0-based */
    uint64_t hits;   /* tokens routed to it (counted once per layer, at the down projection) */
    uint64_t bytes;  /* weight bytes read for it, all of its matrices, in host memory or in VRAM */
    int32_t in_vram; /* 1 while a cache holds it (GGML_MOE_CACHE) */
    int32_t reserved;
};

/* Copies up to `capacity` entries, ordered by layer and expert, one for every expert of every layer that has run,
 * and returns how many there are. Call with capacity 0 (out may be NULL) to learn the number. Thread-safe. */
typedef size_t (*ggml_moe_expert_stats_t)(struct ggml_moe_expert_stat * out, size_t capacity);

struct ggml_backend_buffer;

/* The same for the weights that lie in one buffer of this backend (tensor->buffer), so that several models in one
 * process are told apart. What a buffer's experts did ends with it: afterwards only the total above has it. */
typedef size_t (*ggml_moe_expert_stats_of_t)(const struct ggml_backend_buffer * buffer,
                                             struct ggml_moe_expert_stat * out, size_t capacity);

/* Sets all counters to zero, those of the cache too. Thread-safe. */
typedef void (*ggml_moe_expert_stats_reset_t)(void);

/* Experts in VRAM (GGML_MOE_CACHE), of all contexts of the process since the counters were reset. */
struct ggml_moe_cache_stats {
    uint64_t lookups;        /* one per distinct expert of a layer and batch */
    uint64_t hits;           /* those that were computed on a GPU */
    uint64_t uploads;        /* experts copied into VRAM */
    uint64_t uploaded_bytes; /* bytes of these */
    uint64_t failures;       /* batches that a GPU refused; the CPU computed them */
    uint64_t slots;          /* experts that there is room for; not reset */
    uint64_t resident;       /* experts that are there; not reset */
    uint64_t experts;        /* experts of the layers that are cached; not reset */
};

/* Fills `out` and returns one line that says what the cache does, or why there is none ("off: …"). The text stays
 * valid. Thread-safe. */
typedef const char * (*ggml_moe_cache_stats_t)(struct ggml_moe_cache_stats * out);

/* Experts of a model that does not fit in RAM (GGML_MOE_RAM), since the counters were reset. */
struct ggml_moe_disk_stats {
    uint64_t lookups;        /* one per distinct expert, matrix and batch */
    uint64_t hits;           /* those that were in RAM */
    uint64_t read_bytes;     /* asked of the disk */
    uint64_t failures;       /* experts that could not be read */
    uint64_t ram_bytes;      /* of RAM for experts, at most; 0: none are read from disk; not reset */
    uint64_t resident_bytes; /* of these, in use; not reset */
    uint64_t expert_bytes;   /* all experts of the model; not reset */
};

/* Fills `out` and returns one line that says what is read from disk, or why nothing is ("off: …"). The text stays
 * valid. Thread-safe. */
typedef const char * (*ggml_moe_disk_stats_t)(struct ggml_moe_disk_stats * out);

/* How many graphs have failed since the library was loaded. Copies the reason of the last one to `out`, at most `capacity`
 * bytes with the null at the end; with capacity 0, out may be NULL. ggml only tells the program that a graph failed.
 * Thread-safe. */
typedef uint64_t (*ggml_moe_last_failure_t)(char * out, size_t capacity);

/* Memory of this library, in bytes. Its weights in host memory are the program's mapping or buffers, which the program
 * counts. */
struct ggml_moe_memory {
    uint64_t cache_bytes;  /* of GPUs: experts in VRAM, and what computing them takes there */
    uint64_t pinned_bytes; /* of host memory: weights whose pages are locked for a GPU (GGML_MOE_PIN) */
    uint64_t mapped_bytes; /* of host memory: weights that are used where the program mapped them */
};
/* cache_bytes is of one device, a ggml_backend_dev_t, or of all if it is NULL. Thread-safe. */
typedef void (*ggml_moe_memory_t)(struct ggml_moe_memory * out, const void * device);

/* Writes which experts every token chooses to this file from now on (as GGML_MOE_TRACE does from the start;
 * moe/README.md has the format), or ends that if it is NULL. False if the file cannot be written. Thread-safe. */
typedef bool (*ggml_moe_trace_t)(const char * file);

#ifdef __cplusplus
}
#endif

#endif

// The kernel interface: what one instruction set offers to the rest of the backend.
//
// A *tile* is `tile_rows` consecutive rows of a weight matrix. Its rows are unpacked once, 256 columns
// at a time, into L1-resident panels and multiplied with every activation row that needs them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace moe {

// Weight types, in the order of the kernel table.
enum class WType : uint8_t {
    F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS, MXFP4, NVFP4,
    IQ1_S, IQ1_M, IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS, IQ3_S, TQ1_0, TQ2_0, Q1_0, Q2_0, COUNT
};
constexpr int WTYPES = static_cast<int>(WType::COUNT);

// How the activations of a weight type are stored. Two types with equal formats share one quantized copy.
enum class ActKind : uint8_t { F32, BF16, INT8 };

struct ActFormat {
    ActKind kind     = ActKind::INT8;
    uint8_t offset   = 0;    // weights are stored as w + offset; each group starts from -offset * sum(x)
    int16_t group    = 32;   // columns per weight scale (granularity of the sums above)
    int16_t scale    = 32;   // columns per activation scale: 32 (like Q8_0) or 256 (like Q8_K)
    int16_t min_step = 0;    // columns per weight minimum, 0 when the type has none

    bool operator==(const ActFormat & o) const {
        return kind == o.kind && offset == o.offset && group == o.group && scale == o.scale && min_step == o.min_step;
    }
};

// Byte layout of one activation row: F32 or BF16 numbers, zeros up to its end; or, quantized, int8 q[k_pad], float d[], int32 init[], float sum[].
struct ActLayout {
    int32_t k        = 0;  // columns
    int32_t off_d    = 0;  // float[k_pad/scale]: value of one int8 step
    int32_t off_init = 0;  // int32[k_pad/group]: -offset * sum of q over the group (offset types only)
    int32_t off_sum  = 0;  // float[k_pad/min_step]: d * sum of q (types with minimums only)
    int32_t bytes    = 0;  // whole row, a multiple of 64
};

ActLayout act_layout(const ActFormat & f, int32_t k);

// One tile of one matrix times n activation rows.
struct TileArgs {
    const uint8_t *         w       = nullptr;  // first row of the tile
    size_t                  stride  = 0;        // bytes from row to row
    int32_t                 rows    = 0;        // valid rows, 1..tile_rows
    int32_t                 n       = 0;        // activation rows
    const uint8_t * const * x       = nullptr;  // [n] rows in `layout`
    ActLayout               layout;
    float *                 acc     = nullptr;  // out: [n][tile_rows]; lanes past `rows` are undefined
    const uint8_t *         next    = nullptr;  // where this thread most likely continues (prefetch), or null
};

struct TypeKernel {
    ActFormat act;
    void (*quantize)(const ActFormat & f, const ActLayout & l, const float * x, uint8_t * row) = nullptr;
    void (*tile)(const TileArgs & a) = nullptr;
};

// Gated activations on contiguous spans: those of ggml (ggml_glu_op), and Kimi-K3's, which ggml builds of single operations.
enum class Glu : uint8_t { ReGLU, GeGLU, SwiGLU, SwiGLU_OAI, GeGLU_Erf, GeGLU_Quick, SwiGLU_Clamp, SiTU };
struct GluParams {
    Glu   op    = Glu::SwiGLU;
    float alpha = 0.0f;  // SiTU: the bound of the gate
    float limit = 0.0f;  // SiTU: the bound of the factor, 0 for none
};

// Attention of query rows over a range of keys: of one KV head, or of several that lie side by side.
constexpr int ATTENTION_ROWS = 144;  // query rows of one pass, of all its heads, at most: a multiple of every kernel's block of rows
constexpr int ATTENTION_KEYS = 32;   // keys of one step: with 16 heads of 128 columns, those and their values take half of an L2 of 512 KiB
// Columns of a row of sums: those of a value, rounded up to what every kernel computes at once.
constexpr size_t attention_columns(int v_columns) { return (size_t(v_columns) + 31) / 32 * 32; }

using ToFloat = void (*)(const void * x, float * y, int64_t n);  // a row of some type to single precision

// Keys or values: one row per position of the KV cache.
struct KvRows {
    const uint8_t * data        = nullptr;
    size_t          stride      = 0;        // bytes from row to row
    size_t          head_stride = 0;        // bytes from a row to that of the next head
    size_t          bytes       = 0;        // of a row
    int32_t         columns     = 0;
    ToFloat         to_float    = nullptr;  // of its type; null: half precision, which the kernels read themselves
};

// What a query has seen: its largest score, and the sum of its weights e^(score - max).
struct Seen { float max, sum; };

struct AttentionArgs {
    struct Query {
        const float *    q     = nullptr;  // [k.columns]
        const uint16_t * mask  = nullptr;  // [keys] half precision, times slope added to the scores; or null
        float            slope = 1.0f;
    };
    KvRows        k, v;
    int64_t       begin   = 0;        // keys
    int64_t       end     = 0;
    int32_t       heads   = 1;        // KV heads
    int32_t       rows    = 0;        // query rows of each
    const Query * queries = nullptr;  // [heads][rows]; those of one token, whose masks are the same, one after another
    float         scale   = 1.0f;     // of the scores
    float         softcap = 0.0f;     // score = softcap * tanh(score) before the mask, if not 0
    float *       scratch = nullptr;  // attention_scratch() floats
    Seen *        seen    = nullptr;  // out: [heads][rows]
    float *       sums    = nullptr;  // out: [heads][rows][attention_columns(v.columns)], values times weights
};

struct KernelTable {
    const char * name;
    int          tile_rows;           // at most MAX_TILE_ROWS
    TypeKernel   types[WTYPES];
    // out[i] = act(gate[i]) * up[i]; out may equal gate or up
    void (*glu)(const GluParams & p, int n, const float * gate, const float * up, float * out);
    // y[i] += w * x[i]
    void (*axpy)(int n, float w, const float * x, float * y);
    void (*attention)(const AttentionArgs & a);
    size_t (*attention_scratch)(int k_columns, int v_columns);
};

constexpr int MAX_TILE_ROWS = 64;

const KernelTable & kernels_scalar();
const KernelTable & kernels_avx2();
const KernelTable & kernels_avxvnni();
const KernelTable & kernels_avx512();
const KernelTable & kernels_avx512vbmi();
const KernelTable & kernels_avx512bf16();
const KernelTable & kernels_amx();
const KernelTable & kernels_dotprod();
const KernelTable & kernels_i8mm();

// The table for this machine: the best one it can run, or the one GGML_MOE_ISA names. Chosen once.
const KernelTable & kernels();
// The one of the name `want`, or the best one if that is null or empty, or, with a warning, if this machine cannot run it.
const KernelTable & choose_kernels(const char * want);
// The table of that name if this machine can run it, else null.
const KernelTable * kernels_by_name(const char * name);

}  // namespace moe

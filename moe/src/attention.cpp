#include "attention.h"

#include <cmath>
#include <cstring>

#include "graph.h"
#include "tensor.h"

namespace moe {

namespace {

// FLASH_ATTN_EXT: q [dk, tokens, heads, streams] F32, k [dk, keys, kv heads, streams], v [dv, keys, kv heads, streams],
// mask [keys, tokens, 1 or heads, 1 or streams] F16 or none, sinks [heads] F32 or none -> [dv, heads, tokens, streams].
struct Attention {
    const KernelTable * table;
    const ggml_tensor * op, * q, * k, * v, * mask, * sinks;
    int64_t heads_per_kv;        // query heads that share one head of keys and values
    int64_t passes;              // of one KV head
    float   scale, softcap;
    float   max_bias;            // of ALiBi
    int64_t log2_heads;          // ALiBi: the largest power of two that is not more than the heads
    float * scratch;
    size_t  scratch_floats;      // of one thread
    std::atomic<int64_t> next{0};

    Attention(const KernelTable & t, const ggml_tensor * o)
        : table(&t), op(o), q(o->src[0]), k(o->src[1]), v(o->src[2]), mask(o->src[3]), sinks(o->src[4]),
          heads_per_kv(q->ne[2] / k->ne[2]),
          passes((q->ne[1] * heads_per_kv + kAttentionRows - 1) / kAttentionRows),
          scale(op_f32(o, 0)), softcap(op_f32(o, 2)), max_bias(op_f32(o, 1)), log2_heads(1) {
        if (softcap != 0.0f) { scale /= softcap; }
        while (log2_heads * 2 <= q->ne[2]) { log2_heads *= 2; }
    }

    // How much the mask, a distance, counts for a head (ALiBi, Press et al. 2021).
    float slope(int64_t head) const {
        if (max_bias <= 0.0f) { return 1.0f; }
        const float n = static_cast<float>(log2_heads);
        return head < log2_heads ? std::pow(std::pow(2.0f, -max_bias / n), static_cast<float>(head + 1))
                                 : std::pow(std::pow(2.0f, -max_bias / 2.0f / n), static_cast<float>(2 * (head - log2_heads) + 1));
    }
};

template <class T = const char> T * at(const ggml_tensor * t, int64_t i1, int64_t i2, int64_t i3) {
    return reinterpret_cast<T *>(static_cast<char *>(t->data) + size_t(i1) * t->nb[1] + size_t(i2) * t->nb[2] + size_t(i3) * t->nb[3]);
}

void copy_floats(const void * x, float * y, int64_t n) { std::memcpy(y, x, size_t(n) * sizeof(float)); }

ToFloat to_float_of(const KernelTable & table, ggml_type type) {
    switch (type) {
        case GGML_TYPE_F32: return copy_floats;
        case GGML_TYPE_F16: return table.half_to_float;
        default:            return ggml_get_type_traits(type)->to_float;
    }
}

KvRows kv_rows(const Attention & a, const ggml_tensor * t, int64_t head, int64_t stream) {
    KvRows r;
    r.data     = at<const uint8_t>(t, 0, head, stream);
    r.stride   = t->nb[1];
    r.bytes    = ggml_row_size(t->type, t->ne[0]);
    r.columns  = static_cast<int32_t>(t->ne[0]);
    r.to_float = to_float_of(*a.table, t->type);
    return r;
}

AttentionArgs::Query query_of(const Attention & a, int64_t token, int64_t head, int64_t stream) {
    AttentionArgs::Query q;
    q.q     = at<const float>(a.q, token, head, stream);
    q.mask  = a.mask ? at<const uint16_t>(a.mask, token, head % a.mask->ne[2], stream % a.mask->ne[3]) : nullptr;
    q.slope = a.slope(head);
    q.sink  = a.sinks ? static_cast<const float *>(a.sinks->data) + head : nullptr;
    q.out   = at<float>(a.op, head, token, stream);
    return q;
}

// Pass i: some query rows of one KV head. Rows are counted token by token, the heads of a token together. The last
// tokens, which see most keys, come first: what ends last should be short.
void run_pass(const Attention & a, int64_t i, float * scratch) {
    const int64_t kv_heads = a.k->ne[2];
    const int64_t pass = a.passes - 1 - i / kv_heads % a.passes, kv_head = i % kv_heads, stream = i / kv_heads / a.passes;
    const int64_t first = pass * kAttentionRows, all = a.q->ne[1] * a.heads_per_kv;
    AttentionArgs::Query queries[kAttentionRows];
    AttentionArgs args;
    args.k       = kv_rows(a, a.k, kv_head, stream);
    args.v       = kv_rows(a, a.v, kv_head, stream);
    args.n_keys  = a.k->ne[1];
    args.queries = queries;
    args.rows    = static_cast<int32_t>(all - first < kAttentionRows ? all - first : kAttentionRows);
    args.scale   = a.scale;
    args.softcap = a.softcap;
    args.scratch = scratch;
    for (int32_t r = 0; r < args.rows; ++r) {
        const int64_t row = first + r;
        queries[r] = query_of(a, row / a.heads_per_kv, kv_head * a.heads_per_kv + row % a.heads_per_kv, stream);
    }
    a.table->attention(args);
}

void region(void * ctx, int ith, int, Barrier &) {
    Attention & a = *static_cast<Attention *>(ctx);
    const int64_t total = a.passes * a.k->ne[2] * a.k->ne[3];
    float * scratch = a.scratch + size_t(ith) * a.scratch_floats;
    for (int64_t i; (i = a.next.fetch_add(1, std::memory_order_relaxed)) < total;) { run_pass(a, i, scratch); }
}

bool is_cache(const ggml_tensor * t) {  // rows of a type that can be read
    return t->nb[0] == ggml_type_size(t->type) && t->ne[0] <= (1 << 16) &&
           (t->type == GGML_TYPE_F32 || ggml_get_type_traits(t->type)->to_float != nullptr);
}

}  // namespace

bool supports_attention(const ggml_tensor * op) {
    const ggml_tensor * q = op->src[0], * k = op->src[1], * v = op->src[2], * mask = op->src[3], * sinks = op->src[4];
    const bool shapes = q->ne[1] >= kLeastAttentionTokens && k->ne[2] == v->ne[2] && k->ne[3] == v->ne[3] &&
                        q->ne[2] % k->ne[2] == 0 && q->ne[3] == k->ne[3];
    return shapes && q->type == GGML_TYPE_F32 && q->nb[0] == sizeof(float) && is_cache(k) && is_cache(v) &&
           op->type == GGML_TYPE_F32 && ggml_is_contiguous(op) &&
           (mask == nullptr || (mask->type == GGML_TYPE_F16 && mask->nb[0] == sizeof(uint16_t))) &&
           (sinks == nullptr || (sinks->type == GGML_TYPE_F32 && sinks->nb[0] == sizeof(float)));
}

void run_attention(Team & team, const KernelTable & table, Buffer & scratch, const ggml_tensor * op) {
    Attention a(table, op);
    a.scratch_floats = (table.attention_scratch(static_cast<int>(a.k->ne[0]), static_cast<int>(a.v->ne[0])) + 15) / 16 * 16;
    a.scratch = scratch.array<float>(a.scratch_floats * size_t(team.threads()));
    team.run(team.threads(), region, &a);
}

}  // namespace moe

#include "attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tensor.h"

namespace moe {

namespace {

// Where a range of keys was summed: the rows of one pass.
struct Partial {
    Seen * seen;   // [rows]
    float * sums;  // [rows][columns]
};

// FLASH_ATTN_EXT: q [dk, tokens, heads, streams] F32, k [dk, keys, kv heads, streams], v [dv, keys, kv heads, streams],
// mask [keys, tokens, 1 or heads, 1 or streams] F16 or none, sinks [heads] F32 or none -> [dv, heads, tokens, streams].
//
// A pass is some query rows of one KV head: its heads' rows, token by token, up to ATTENTION_ROWS of them. Where a KV
// head has few (decode), a pass takes all rows of several heads, whose keys lie side by side in the cache: reading what
// is scattered costs twice as much. With few passes each is split into chunks of keys, whose sums are merged in a
// second phase. What is split depends on the shapes alone, so that the bits do not depend on the number of threads.
struct Attention {
    const KernelTable * table;
    const ggml_tensor *op, *q, *k, *v, *mask, *sinks;
    int64_t heads_per_kv;  // query heads that share one head of keys and values
    int64_t rows;          // query rows of one KV head
    int64_t kv_heads;      // of one pass, at most
    int64_t groups;        // of so many KV heads in a stream
    int64_t passes_per_group;
    int64_t passes;  // in all
    int64_t chunks;  // of a pass
    int64_t chunk_keys;
    float scale, softcap;
    float max_bias;          // of ALiBi
    int64_t log2_heads = 1;  // ALiBi: the largest power of two that is not more than the heads
    float * scratch = nullptr;
    size_t scratch_floats;  // of one thread
    float * partials = nullptr;
    size_t partial_floats;  // of one pass
    std::atomic<int64_t> next[2] = {{0}, {0}};

    Attention(const KernelTable & table, const ggml_tensor * op);
    // A pass: its first KV head and how many, its stream, its first row and how many of each head.
    struct Pass {
        int64_t head, heads, stream, row, rows;
    };
    Pass pass(int64_t i) const {
        const int64_t group = i / passes_per_group, head = group % groups * kv_heads,
                      row = i % passes_per_group * ATTENTION_ROWS;
        return {head, std::min(k->ne[2] - head, kv_heads), group / groups, row,
                std::min<int64_t>(rows - row, ATTENTION_ROWS)};
    }
    size_t columns() const { return attention_columns(static_cast<int>(v->ne[0])); }
    Partial partial(int64_t i) const {
        float * p = partials + size_t(i) * partial_floats;
        return {reinterpret_cast<Seen *>(p), p + 2 * size_t(ATTENTION_ROWS)};
    }
    double work() const {
        return double(rows) * double(k->ne[2] * k->ne[3]) * double(k->ne[1]) * double(k->ne[0] + v->ne[0]);
    }
};

constexpr int64_t FEWEST_ITEMS = 32;  // work items below which passes are split: enough for a dozen threads
constexpr int64_t FEWEST_KEYS = 128;  // of a chunk

// How many KV heads a pass takes: as many as leave enough items.
int64_t heads_of_pass(const ggml_tensor * k, const ggml_tensor * v, int64_t rows) {
    const auto side_by_side = [](const ggml_tensor * t) { return t->nb[2] * size_t(t->ne[2]) <= t->nb[1]; };
    if (!side_by_side(k) || !side_by_side(v)) return 1;
    const int64_t chunks = std::max<int64_t>(k->ne[1] / FEWEST_KEYS, 1);
    return std::max<int64_t>(1,
                             std::min({k->ne[2], ATTENTION_ROWS / rows, k->ne[2] * k->ne[3] * chunks / FEWEST_ITEMS}));
}

Attention::Attention(const KernelTable & t, const ggml_tensor * o)
    : table(&t), op(o), q(o->src[0]), k(o->src[1]), v(o->src[2]), mask(o->src[3]), sinks(o->src[4]) {
    heads_per_kv = q->ne[2] / k->ne[2];
    rows = q->ne[1] * heads_per_kv;
    kv_heads = heads_of_pass(k, v, rows);
    groups = (k->ne[2] + kv_heads - 1) / kv_heads;
    passes_per_group = (rows + ATTENTION_ROWS - 1) / ATTENTION_ROWS;
    passes = passes_per_group * groups * k->ne[3];
    chunks = std::max<int64_t>(1, std::min(FEWEST_ITEMS / passes, k->ne[1] / FEWEST_KEYS));
    chunk_keys = ((k->ne[1] + chunks - 1) / chunks + ATTENTION_KEYS - 1) / ATTENTION_KEYS * ATTENTION_KEYS;
    chunks = (k->ne[1] + chunk_keys - 1) / chunk_keys;
    scale = op_f32(o, 0);
    max_bias = op_f32(o, 1);
    softcap = op_f32(o, 2);
    if (softcap != 0.0f) scale /= softcap;
    while (log2_heads * 2 <= q->ne[2]) {
        log2_heads *= 2;
    }
    scratch_floats = (table->attention_scratch(static_cast<int>(k->ne[0]), static_cast<int>(v->ne[0])) + 15) / 16 * 16;
    partial_floats =
        size_t(std::min<int64_t>(rows * kv_heads, ATTENTION_ROWS)) * columns() + 2 * size_t(ATTENTION_ROWS);
}

// How much the mask, a distance, counts for a head (ALiBi, Press et al. 2021).
float slope_of(const Attention & a, int64_t head) {
    if (a.max_bias <= 0.0f) return 1.0f;
    const float n = static_cast<float>(a.log2_heads);
    return head < a.log2_heads
               ? std::pow(std::pow(2.0f, -a.max_bias / n), static_cast<float>(head + 1))
               : std::pow(std::pow(2.0f, -a.max_bias / 2.0f / n), static_cast<float>(2 * (head - a.log2_heads) + 1));
}

void copy_floats(const void * x, float * y, int64_t n) {
    std::memcpy(y, x, size_t(n) * sizeof(float));
}

ToFloat to_float_of(ggml_type type) {
    switch (type) {
        case GGML_TYPE_F32:
            return copy_floats;
        case GGML_TYPE_F16:
            return nullptr;
        default:
            return ggml_get_type_traits(type)->to_float;
    }
}

KvRows kv_rows(const ggml_tensor * t, int64_t head, int64_t stream) {
    KvRows r;
    r.data = reinterpret_cast<const uint8_t *>(row_at(t, 0, head, stream));
    r.stride = t->nb[1];
    r.head_stride = t->nb[2];
    r.bytes = ggml_row_size(t->type, t->ne[0]);
    r.columns = static_cast<int32_t>(t->ne[0]);
    r.to_float = to_float_of(t->type);
    return r;
}

// Row r of those of all heads of a pass: which token and head it is.
struct RowOf {
    int64_t token, head;
    RowOf(const Attention & a, const Attention::Pass & p, int64_t r) {
        const int64_t row = p.row + r % p.rows;
        token = row / a.heads_per_kv;
        head = (p.head + r / p.rows) * a.heads_per_kv + row % a.heads_per_kv;
    }
};

// One chunk of keys of one pass.
void sum_chunk(const Attention & a, const Attention::Pass & p, int64_t chunk, float * scratch, const Partial & out) {
    AttentionArgs::Query queries[ATTENTION_ROWS];
    AttentionArgs args;
    args.k = kv_rows(a.k, p.head, p.stream);
    args.v = kv_rows(a.v, p.head, p.stream);
    args.begin = chunk * a.chunk_keys;
    args.end = std::min(args.begin + a.chunk_keys, a.k->ne[1]);
    args.queries = queries;
    args.heads = static_cast<int32_t>(p.heads);
    args.rows = static_cast<int32_t>(p.rows);
    args.scale = a.scale;
    args.softcap = a.softcap;
    args.scratch = scratch;
    args.seen = out.seen;
    args.sums = out.sums;
    for (int64_t r = 0; r < p.heads * p.rows; ++r) {
        const RowOf i(a, p, r);
        queries[r].q = reinterpret_cast<const float *>(row_at(a.q, i.token, i.head, p.stream));
        queries[r].mask = a.mask ? reinterpret_cast<const uint16_t *>(
                                       row_at(a.mask, i.token, i.head % a.mask->ne[2], p.stream % a.mask->ne[3]))
                                 : nullptr;
        queries[r].slope = slope_of(a, i.head);
    }
    a.table->attention(args);
}

// Row r of n partial sums -> the output: their sum against the largest score, over all weights. A sink is a key that
// has a score and no value.
void finish_row(const Attention & a, const Attention::Pass & p, int64_t r, const Partial * part, int64_t n) {
    const RowOf i(a, p, r);
    const float sink = a.sinks ? static_cast<const float *>(a.sinks->data)[i.head] : -INFINITY;
    float max = sink;
    for (int64_t c = 0; c < n; ++c) {
        max = std::max(max, part[c].seen[r].max);
    }
    float * out = reinterpret_cast<float *>(row_at(a.op, i.head, i.token, p.stream));
    std::memset(out, 0, size_t(a.v->ne[0]) * sizeof(float));
    if (max == -INFINITY) return;  // it sees nothing
    float sum = std::exp(sink - max);
    for (int64_t c = 0; c < n; ++c) {
        sum += part[c].seen[r].sum * std::exp(part[c].seen[r].max - max);
    }
    for (int64_t c = 0; c < n; ++c) {
        const float weight = std::exp(part[c].seen[r].max - max) / sum;
        if (weight > 0.0f)
            a.table->axpy(static_cast<int>(a.v->ne[0]), weight, part[c].sums + size_t(r) * a.columns(), out);
    }
}

void finish(const Attention & a, const Attention::Pass & p, const Partial * part, int64_t n) {
    for (int64_t r = 0; r < p.heads * p.rows; ++r) {
        finish_row(a, p, r, part, n);
    }
}

void region(void * ctx, int ith, int, Barrier & barrier) {
    Attention & a = *static_cast<Attention *>(ctx);
    float * scratch = a.scratch + size_t(ith) * a.scratch_floats;
    const auto take = [](std::atomic<int64_t> & counter) { return counter.fetch_add(1, std::memory_order_relaxed); };
    if (a.chunks == 1) {
        const Partial own = a.partial(ith);
        for (int64_t i; (i = take(a.next[0])) < a.passes;) {
            const Attention::Pass pass =
                a.pass(a.passes - 1 - i);  // later tokens see more keys: what ends last should be short
            sum_chunk(a, pass, 0, scratch, own);
            finish(a, pass, &own, 1);
        }
        return;
    }
    for (int64_t i; (i = take(a.next[0])) < a.passes * a.chunks;) {
        sum_chunk(a, a.pass(i / a.chunks), i % a.chunks, scratch, a.partial(i));
    }
    barrier.wait();
    for (int64_t pass; (pass = take(a.next[1])) < a.passes;) {
        Partial part[FEWEST_ITEMS];
        for (int64_t c = 0; c < a.chunks; ++c) {
            part[c] = a.partial(pass * a.chunks + c);
        }
        finish(a, a.pass(pass), part, a.chunks);
    }
}

bool is_cache(const ggml_tensor * t) {  // rows of a type that can be read
    return t->nb[0] == ggml_type_size(t->type) && t->ne[0] <= (1 << 16) &&
           (t->type == GGML_TYPE_F32 || ggml_get_type_traits(t->type)->to_float != nullptr);
}

}  // namespace

bool supports_attention(const ggml_tensor * op) {
    const ggml_tensor *q = op->src[0], *k = op->src[1], *v = op->src[2], *mask = op->src[3], *sinks = op->src[4];
    const bool shapes = k->ne[1] > 0 && k->ne[2] == v->ne[2] && k->ne[3] == v->ne[3] && q->ne[2] % k->ne[2] == 0 &&
                        q->ne[3] == k->ne[3];
    return shapes && q->type == GGML_TYPE_F32 && q->nb[0] == sizeof(float) && is_cache(k) && is_cache(v) &&
           op->type == GGML_TYPE_F32 && ggml_is_contiguous(op) &&
           (mask == nullptr || (mask->type == GGML_TYPE_F16 && mask->nb[0] == sizeof(uint16_t))) &&
           (sinks == nullptr || (sinks->type == GGML_TYPE_F32 && sinks->nb[0] == sizeof(float)));
}

void run_attention(Team & team, const KernelTable & table, Buffer & scratch, Buffer & partials,
                   const ggml_tensor * op) {
    if (ggml_is_empty(op)) return;
    Attention a(table, op);
    const int threads = a.work() < MIN_PARALLEL_WORK ? 1 : team.threads();
    a.scratch = scratch.array<float>(a.scratch_floats * size_t(threads));
    a.partials = partials.array<float>(a.partial_floats * size_t(a.chunks == 1 ? threads : a.passes * a.chunks));
    team.run(threads, region, &a);
}

}  // namespace moe

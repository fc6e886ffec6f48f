#include "graph.h"

#include <cstring>

#include "cpu/attention.h"
#include "cpu/ops.h"
#include "cpu/tensor.h"
#include "disk/mapped_files.h"
#include "experts/table.h"
#include "match.h"
#include "support.h"

namespace moe {

namespace {

// supports_op lets no weights of another type in.
const TypeKernel & kernel_of(const KernelTable & table, const ggml_tensor * w) {
    WType type = WType::F32;
    weight_type(w, &type);
    return table.types[static_cast<int>(type)];
}

Weights weights_of(const KernelTable & table, const Product & p) {
    const ggml_tensor * w = p.mm->src[0];
    Weights r;
    r.data = static_cast<const uint8_t *>(w->data) + size_t(p.first_row) * w->nb[1];
    r.row_stride = w->nb[1];
    r.expert_stride = w->nb[2];
    r.rows = static_cast<int32_t>(p.rows);
    r.kernel = &kernel_of(table, w);
    if (p.scale != nullptr) r.scale = static_cast<const float *>(p.scale->data);
    if (p.bias != nullptr) {
        r.bias = static_cast<const char *>(p.bias->data) + size_t(p.first_row) * sizeof(float);
        r.bias_stride = p.bias->nb[1];
    }
    return r;
}

int32_t expert_at(const ggml_tensor * ids, int32_t token, int32_t slot) {
    int32_t e;
    std::memcpy(&e, static_cast<const char *>(ids->data) + size_t(token) * ids->nb[1] + size_t(slot) * ids->nb[0],
                sizeof e);
    return e;
}

// Groups the slots by expert (a counting sort, so slots stay in order).
void route_experts(Context & c, const ggml_tensor * ids, int32_t n_expert) {
    Routing & r = c.job.routing;
    const int32_t used = static_cast<int32_t>(ids->ne[0]), tokens = static_cast<int32_t>(ids->ne[1]);
    const size_t slots = size_t(used) * size_t(tokens);
    int32_t * count = c.counts.array<int32_t>(size_t(n_expert) * 2 + 1);
    int32_t * at = count + n_expert;  // where the next slot of an expert goes; last, of those without
    r.expert = c.routing.array<int32_t>(size_t(n_expert) * 2 + 1 + slots);
    r.begin = r.expert + n_expert;
    r.slot = r.begin + n_expert + 1;
    r.used = used;
    r.slots = static_cast<int32_t>(slots);
    r.groups = 0;
    std::memset(count, 0, size_t(n_expert) * sizeof(int32_t));
    const auto expert_of = [&](int32_t t, int32_t s) {
        const int32_t e = expert_at(ids, t, s);
        return e >= 0 && e < n_expert ? e : n_expert;
    };
    for (int32_t t = 0; t < tokens; ++t) {
        for (int32_t s = 0; s < used; ++s) {
            const int32_t e = expert_of(t, s);
            if (e < n_expert) ++count[e];
        }
    }
    int32_t total = 0;
    for (int32_t e = 0; e < n_expert; ++e) {
        at[e] = total;
        if (count[e] > 0) {
            r.expert[r.groups] = e;
            r.begin[r.groups++] = total;
            total += count[e];
        }
    }
    r.begin[r.groups] = total;
    at[n_expert] = total;
    for (int32_t t = 0; t < tokens; ++t) {
        for (int32_t s = 0; s < used; ++s) {
            r.slot[at[expert_of(t, s)]++] = t * used + s;
        }
    }
}

// One group for each of the weight's matrices, of as many rows each, in their order: attention heads, or all rows of
// the usual single matrix. Where there are more heads of input than matrices, heads that follow each other share one.
void route_heads(Context & c, int32_t matrices, int32_t rows) {
    Routing & r = c.job.routing;
    r.expert = c.routing.array<int32_t>(2 * size_t(matrices) + 1 + size_t(rows));
    r.begin = r.expert + matrices;
    r.slot = r.begin + matrices + 1;
    r.used = 1;
    r.slots = rows;
    r.groups = matrices;
    for (int32_t i = 0; i < matrices; ++i) {
        r.expert[i] = i;
        r.begin[i] = rows / matrices * i;
    }
    r.begin[matrices] = rows;
    for (int32_t i = 0; i < rows; ++i) {
        r.slot[i] = i;
    }
}

void route(Context & c, const ggml_tensor * mm) {
    c.job.order = nullptr;
    if (mm->op == GGML_OP_MUL_MAT_ID) {
        route_experts(c, mm->src[2], static_cast<int32_t>(mm->src[0]->ne[2]));
        c.job.tokens = mm->src[2]->ne[1];
    } else {
        route_heads(c, static_cast<int32_t>(mm->src[0]->ne[2]), static_cast<int32_t>(ggml_nrows(mm)));
        c.job.tokens = ggml_nrows(mm);
    }
}

void record(Context & c, const ggml_tensor * mm) {
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): only of a job that has this product
    if (mm->op == GGML_OP_MUL_MAT_ID) {
        if (ExpertTensor * t = expert_tensor(mm->src[0])) record(*t, c.counts.array<int32_t>(size_t(t->n_expert)));
    }
}

void begin_phase(Phase & p, const ggml_tensor * mm, const ggml_tensor * in) {
    p = Phase();
    p.k = static_cast<int>(in->ne[0]);
    p.in = rows_of(in);
    p.by_token = mm->op == GGML_OP_MUL_MAT_ID && in->ne[1] == 1;
}

// Adds a product to the phase; its input is quantized once per format. `buffers`: two scratch buffers of this phase.
void add_product(Context & c, Phase & p, const Product & prod, Buffer * buffers) {
    Mat & m = p.mats[p.n_mats++];
    m.w = weights_of(*c.table, prod);
    m.out = rows_of(prod.out);
    for (m.acts = 0; m.acts < p.n_acts; ++m.acts) {
        if (p.acts[m.acts].kernel->act == m.w.kernel->act) return;
    }
    Acts & a = p.acts[p.n_acts++];
    a.kernel = m.w.kernel;
    a.layout = act_layout(a.kernel->act, p.k);
    a.rows = buffers[m.acts].array<uint8_t>(size_t(p.in.count()) * size_t(a.layout.bytes));
}

void run_job(Context & c) {
    Job & job = c.job;
    const int n = job_work(job) < MIN_PARALLEL_WORK ? 1 : c.team.threads();
    job.table = c.table;
    job.thread_scratch_bytes = job_thread_scratch_bytes(*c.table);
    job.thread_scratch = c.threads.array<uint8_t>(job.thread_scratch_bytes * size_t(n));
    job_run(c.team, job, n);
}

// ---- weights on disk ----

// Of a model that does not fit in RAM.
void want(Context & c, const Product & p, Mat & mat) {
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): likewise
    if (p.mm->op == GGML_OP_MUL_MAT_ID) {
        c.fetch.add(p.mm->src[0], mat.w);
    } else {
        ExpertStore::instance().hold(p.mm->src[0]);
    }
}

// ---- experts in VRAM ----

FfnWeights::Source weights_source(const Product & p) {
    const ggml_tensor * w = p.mm->src[0];
    return {static_cast<const char *>(w->data) + size_t(p.first_row) * w->nb[1], w->nb[2]};
}
FfnWeights::Source bias_source(const Product & p) {
    if (p.bias == nullptr) return {};
    return {static_cast<const char *>(p.bias->data) + size_t(p.first_row) * sizeof(float), p.bias->nb[1]};
}
size_t bytes_of(const Product & p) {  // of one expert
    return size_t(p.rows) * p.mm->src[0]->nb[1];
}

// Whether experts of this FFN may lie in VRAM, and what a cache must know of them.
bool cache_call(const Ffn & f, ExpertCache::Call & call) {
    if (f.down.mm == nullptr || f.gate.mm->op != GGML_OP_MUL_MAT_ID || f.gate.mm->src[1]->ne[1] != 1) return false;
    if (f.glu->op != GGML_OP_GLU || f.gate.scale != nullptr || f.up.scale != nullptr || f.down.scale != nullptr)
        return false;
    const ggml_tensor *gate = f.gate.mm->src[0], *up = f.up.mm->src[0], *down = f.down.mm->src[0];
    call.down = expert_tensor(down);
    if (call.down == nullptr) return false;
    call.weights = {weights_source(f.gate), weights_source(f.up), weights_source(f.down),
                    bias_source(f.gate),    bias_source(f.up),    bias_source(f.down)};
    const ggml_tensor * all[] = {gate, up, down, f.gate.bias, f.up.bias, f.down.bias};
    for (int i = 0; i < 6; ++i) {
        call.weights.buffers[i] = all[i] != nullptr ? all[i]->buffer : nullptr;
    }
    FfnShape & s = call.shape;
    s.gate = gate->type, s.up = up->type, s.down = down->type;
    s.n_embd = gate->ne[0], s.n_ff = f.gate.rows, s.n_out = down->ne[1];
    s.gate_bias = f.gate.bias != nullptr, s.up_bias = f.up.bias != nullptr, s.down_bias = f.down.bias != nullptr;
    std::memcpy(s.glu, f.glu->op_params, sizeof s.glu);
    call.tokens = f.gate.mm->src[2]->ne[1];
    return true;
}

// What a GPU should have computed: the FFN of each hit of this run, from the rows that were copied for it.
const float * compute_refused(Context & c, const Ffn & f, const ExpertCache::Run & run) {
    const int n = run.count;
    const auto rows = [](float * data, int64_t columns, int64_t count) {
        Rows r;
        r.data = reinterpret_cast<char *>(data);
        r.ne[0] = count;
        r.nb[0] = size_t(columns) * sizeof(float);
        return r;
    };
    Job & job = c.job;
    const int64_t n_embd = f.gate.mm->src[0]->ne[0], n_ff = f.gate.rows, n_out = f.down.rows;
    float * out = c.refused.array<float>(size_t(n) * size_t(n_out));
    Routing & r = job.routing;  // each hit is a group of its own
    r.expert = c.routing.array<int32_t>(3 * size_t(n) + 1);
    r.begin = r.expert + n;
    r.slot = r.begin + n + 1;
    r.groups = n;
    for (int i = 0; i < n; ++i) {
        r.expert[i] = c.cache.hits()[size_t(run.first) + size_t(i)].expert;
        r.begin[i] = r.slot[i] = i;
    }
    r.begin[n] = n;
    r.slots = n;
    r.used = run.shared_row ? n : 1;
    job.tokens = run.shared_row ? 1 : n;
    job.has_down = true;
    job.sum = false;
    job.slot_weight = nullptr;
    job.order = nullptr;
    job.meanwhile = nullptr;
    begin_phase(job.up, f.gate.mm, f.gate.mm->src[1]);
    job.up.in = rows(const_cast<float *>(run.x), n_embd, job.tokens);
    add_product(c, job.up, f.gate, c.acts);
    add_product(c, job.up, f.up, c.acts);
    job.up.glu = true;
    job.up.activation = f.activation;
    job.up.glu_out = rows(c.refused_mid.array<float>(size_t(n) * size_t(n_ff)), n_ff, n);
    begin_phase(job.down, f.down.mm, f.glu);
    job.down.by_token = false;
    job.down.in = job.up.glu_out;
    add_product(c, job.down, f.down, c.acts + 2);
    job.down.mats[0].out = rows(out, n_out, n);
    run_job(c);
    return out;
}

// Puts the rows of the GPUs where the CPU's are: into the sum of their token, in the order of the hits, or into their
// own slots.
void add_hits(Context & c, const Ffn & f) {
    const Rows out = rows_of(f.out);
    const int64_t n_out = f.down.mm->src[0]->ne[1], used = f.gate.mm->src[2]->ne[0];
    const float * weight = f.slot_weight != nullptr ? c.slot_weight.array<float>(0) : nullptr;
    for (const ExpertCache::Run & run : c.cache.finish()) {
        const float * row = run.out != nullptr ? run.out : compute_refused(c, f, run);
        for (int i = 0; i < run.count; ++i, row += n_out) {
            const int32_t slot = c.cache.hits()[size_t(run.first) + size_t(i)].slot;
            float * to = reinterpret_cast<float *>(out.at(f.sum ? slot / used : slot));
            if (f.sum) {
                c.table->axpy(static_cast<int>(n_out), weight != nullptr ? weight[slot] : 1.0f, row, to);
            } else {
                std::memcpy(to, row, size_t(n_out) * sizeof(float));
            }
        }
    }
}

// Before the cache takes its part out of the routing.
void trace(Context & c, const Ffn & f) {
    const ExpertTensor * t = expert_tensor(f.down.mm->src[0]);
    if (t == nullptr) return;
    const ggml_tensor * ids = f.gate.mm->src[2];
    const size_t bytes = bytes_of(f.gate) + (f.up.mm != nullptr ? bytes_of(f.up) : 0) + bytes_of(f.down);
    const int32_t used = static_cast<int32_t>(ids->ne[0]), tokens = static_cast<int32_t>(ids->ne[1]);
    const float * weight = c.job.slot_weight;
    c.trace.begin(t->layer, tokens);
    for (int32_t i = 0; i < tokens * used; ++i) {
        const int32_t e = expert_at(ids, i / used, i % used);
        if (e < 0 || e >= t->n_expert) continue;
        c.trace.add(i / used, i % used, e, weight != nullptr ? weight[i] : 0.0f, t->counters[size_t(e)].in_vram > 0,
                    bytes);
    }
    c.trace.end();
}

int run_ffn(Context & c, const Ffn & f) {
    Job & job = c.job;
    ExpertCache::Call call;
    const bool may_cache = !c.cache.is_off() && cache_call(f, call);
    if (!may_cache && f.gate.mm->op == GGML_OP_MUL_MAT_ID) c.cache.pass_over();
    job.has_down = f.down.mm != nullptr;
    job.sum = f.sum;
    job.slot_weight = nullptr;
    route(c, f.gate.mm);
    record(c, f.gate.mm);
    if (f.up.mm != nullptr && f.up.mm != f.gate.mm) record(c, f.up.mm);
    begin_phase(job.up, f.gate.mm, f.gate.mm->src[1]);
    add_product(c, job.up, f.gate, c.acts);
    if (f.up.mm != nullptr) add_product(c, job.up, f.up, c.acts);
    job.up.glu = true;
    job.up.activation = f.activation;
    job.up.glu_out = rows_of(f.glu);
    if (job.has_down) {
        record(c, f.down.mm);
        begin_phase(job.down, f.down.mm, f.glu);
        job.down.by_token = false;
        add_product(c, job.down, f.down, c.acts + 2);
        job.down.mats[0].out = rows_of(f.out);
    }
    if (f.slot_weight != nullptr) {
        const Rows w = rows_of(f.slot_weight);
        float * copy = c.slot_weight.array<float>(size_t(w.count()));
        for (int64_t i = 0; i < w.count(); ++i) {
            std::memcpy(&copy[i], w.at(i), sizeof(float));
        }
        job.slot_weight = copy;
    }
    if (f.down.mm != nullptr && f.down.mm->op == GGML_OP_MUL_MAT_ID && Trace::is_on()) trace(c, f);
    if (may_cache) {
        call.x = &job.up.in;
        c.cache.begin(call, job.routing);
    }
    if (may_cache && c.cache.has_hits()) {
        job.meanwhile = [](void * cache) { static_cast<ExpertCache *>(cache)->launch(); };
        job.meanwhile_ctx = &c.cache;
    }
    const bool is_on_disk = ExpertStore::instance().is_on();
    if (is_on_disk) {
        want(c, f.gate, job.up.mats[0]);
        if (f.up.mm != nullptr) want(c, f.up, job.up.mats[1]);
        if (job.has_down) want(c, f.down, job.down.mats[0]);
        c.fetch.go(job);
    }
    run_job(c);
    job.meanwhile = nullptr;
    if (may_cache) {
        if (c.cache.has_hits()) add_hits(c, f);
        c.cache.end();
    }
    if (is_on_disk) c.fetch.end();
    return f.last;
}

// One product, or several that follow each other and share their input.
int run_products(Context & c, const Nodes & n, int i, const Product & first) {
    Job & job = c.job;
    job.has_down = false;
    route(c, first.mm);
    record(c, first.mm);
    begin_phase(job.up, first.mm, first.mm->src[1]);
    add_product(c, job.up, first, c.acts);
    const bool is_on_disk = ExpertStore::instance().is_on();
    if (is_on_disk) want(c, first, job.up.mats[0]);
    i = first.last;
    Product p;
    while (first.mm->op == GGML_OP_MUL_MAT && job.up.n_mats < MAX_MATS && match_product(n, n.next(i), p) &&
           p.mm->op == GGML_OP_MUL_MAT && same_routing(first, p)) {
        const ActFormat & f = kernel_of(*c.table, p.mm->src[0]).act;
        const bool known = job.up.acts[0].kernel->act == f || (job.up.n_acts > 1 && job.up.acts[1].kernel->act == f);
        if (!known && job.up.n_acts > 1) break;
        add_product(c, job.up, p, c.acts);
        if (is_on_disk) want(c, p, job.up.mats[job.up.n_mats - 1]);
        i = p.last;
    }
    if (is_on_disk) c.fetch.go(job);
    run_job(c);
    if (is_on_disk) c.fetch.end();
    return i;
}

}  // namespace

bool graph_compute(Context & c, ggml_cgraph * graph) {
    c.fetch.abandon();  // of a graph that failed
    MappedFiles::instance().require_whole();
    const Nodes n(graph);
    for (int i = n.next(-1); i < n.count(); i = n.next(i)) {
        Product p;
        Ffn f;
        if (match_ffn(n, i, f)) {
            i = run_ffn(c, f);
        } else if (match_product(n, i, p)) {
            i = run_products(c, n, i, p);
        } else if (n.at(i)->op == GGML_OP_FLASH_ATTN_EXT) {
            run_attention(c.team, *c.table, c.attention, c.partials, n.at(i));
        } else if (!run_simple_op(c.team, *c.table, n.at(i))) {
            return false;
        }
    }
    return true;
}

}  // namespace moe

#include "job.h"

#include <algorithm>
#include <cstring>

#include "work.h"

namespace moe {

namespace {

struct Thread {
    const uint8_t ** x;  // [MAX_CHUNK]
    float * acc0;        // [MAX_CHUNK][MAX_TILE_ROWS]
    float * acc1;
};

constexpr size_t ACC_BYTES = sizeof(float) * MAX_CHUNK * MAX_TILE_ROWS;

Thread thread_scratch(const Job & job, int ith) {
    uint8_t * p = job.thread_scratch + size_t(ith) * job.thread_scratch_bytes;
    Thread t;
    t.acc0 = reinterpret_cast<float *>(p);
    t.acc1 = reinterpret_cast<float *>(p + ACC_BYTES);
    t.x = reinterpret_cast<const uint8_t **>(p + 2 * ACC_BYTES);
    return t;
}

void quantize_phase(const Phase & p, std::atomic<int64_t> & counter, int threads) {
    Work work(counter, p.in.count(), threads, 1);
    for (int64_t i, next; work.take(i, next);) {
        const float * x = reinterpret_cast<const float *>(p.in.at(i));
        for (int a = 0; a < p.n_acts; ++a) {
            const Acts & act = p.acts[a];
            act.kernel->quantize(act.kernel->act, act.layout, x, act.rows + size_t(i) * size_t(act.layout.bytes));
        }
    }
}

int32_t slots_of(const Routing & r) {
    return r.begin[r.groups];
}

int tiles_of(const Job & job, const Weights & w) {
    return (w.rows + job.table->tile_rows - 1) / job.table->tile_rows;
}

struct Span {
    int32_t first, n;
};  // slots of one pass

// The weights of a group's expert.
const uint8_t * weights_of_group(const Job & job, const Weights & w, int group) {
    if (w.arrivals != nullptr) return w.arrivals[group]->data + w.first_byte;
    return w.data + size_t(job.routing.expert[group]) * w.expert_stride;
}

void wait_for(const Weights & w, int group) {
    if (w.arrivals != nullptr && !w.arrivals[group]->here.load(std::memory_order_acquire)) w.wait(*w.arrivals[group]);
}

// Product of one weight tile with the slots of a span: acc[n][tile_rows].
void tile_product(const Job & job, const Phase & p, const Mat & m, int group, int tile, Span s, Thread & t, float * acc,
                  const uint8_t * next) {
    const int expert = job.routing.expert[group];
    const Acts & act = p.acts[m.acts];
    const int row0 = tile * job.table->tile_rows;
    for (int i = 0; i < s.n; ++i) {
        const int32_t slot = job.routing.slot[s.first + i];
        const int64_t row = p.by_token ? slot / job.routing.used : slot;
        t.x[i] = act.rows + size_t(row) * size_t(act.layout.bytes);
    }
    TileArgs a;
    a.w = weights_of_group(job, m.w, group) + size_t(row0) * m.w.row_stride;
    a.stride = m.w.row_stride;
    a.rows = m.w.rows - row0 < job.table->tile_rows ? m.w.rows - row0 : job.table->tile_rows;
    a.n = s.n;
    a.x = t.x;
    a.layout = act.layout;
    a.acc = acc;
    a.next = next;
    m.w.kernel->tile(a);
    if (m.w.scale != nullptr) {
        for (int i = 0; i < s.n * job.table->tile_rows; ++i) {
            acc[i] *= m.w.scale[expert];
        }
    }
    if (m.w.bias != nullptr) {
        const float * b = reinterpret_cast<const float *>(m.w.bias + size_t(expert) * m.w.bias_stride) + row0;
        for (int i = 0; i < s.n; ++i) {
            job.table->axpy(a.rows, 1.0f, b, acc + size_t(i) * size_t(job.table->tile_rows));
        }
    }
}

const uint8_t * tile_start(const Job & job, const Mat & m, int group, int tile) {
    return weights_of_group(job, m.w, group) + size_t(tile) * size_t(job.table->tile_rows) * m.w.row_stride;
}

// One tile of one matrix for one group.
struct UpItem {
    int mat, group, tile;
};

UpItem up_item_at(const Job & job, const Phase & p, int64_t i) {
    int m = 0;
    for (; i >= int64_t(tiles_of(job, p.mats[m].w)) * job.routing.groups; ++m) {
        i -= int64_t(tiles_of(job, p.mats[m].w)) * job.routing.groups;
    }
    const int tiles = tiles_of(job, p.mats[m].w);
    const int group = static_cast<int>(i / tiles);
    return {m, job.order != nullptr ? job.order[group] : group, static_cast<int>(i % tiles)};
}

struct Ones {
    float one[MAX_TILE_ROWS];
    constexpr Ones() : one() {
        for (float & f : one) {
            f = 1.0f;
        }
    }
};
constexpr Ones ONES;

// out = what becomes of these products; `gate` is not kept.
void activate(const KernelTable & table, const Activation & a, int n, float * gate, const float * up, float * out) {
    if (a.limit < std::numeric_limits<float>::infinity()) {
        table.glu(a.glu, n, gate, ONES.one, gate);
        for (int i = 0; i < n; ++i) {
            out[i] = std::min(gate[i], a.limit) * std::clamp(up[i], -a.limit, a.limit);
        }
    } else {
        table.glu(a.glu, n, gate, a.factor == Activation::UP ? up : a.factor == Activation::ONE ? ONES.one : gate, out);
    }
}

// The products of one tile with all slots of one group, written to the matrix's own tensor or through the GLU.
void run_up_item(const Job & job, const Phase & p, const UpItem & it, Thread & t, const uint8_t * next) {
    const Routing & r = job.routing;
    const Mat & m = p.mats[it.mat];
    const int tr = job.table->tile_rows, row0 = it.tile * tr;
    const int rows = m.w.rows - row0 < tr ? m.w.rows - row0 : tr;
    const int g = it.group, end = r.begin[g + 1];
    const bool gated = p.glu && p.activation.factor == Activation::UP;
    wait_for(m.w, g);
    if (gated) wait_for(p.mats[1].w, g);
    for (int32_t s0 = r.begin[g]; s0 < end; s0 += MAX_CHUNK) {
        const Span s{s0, end - s0 < MAX_CHUNK ? end - s0 : MAX_CHUNK};
        tile_product(job, p, m, g, it.tile, s, t, t.acc0, gated ? tile_start(job, p.mats[1], g, it.tile) : next);
        if (gated) tile_product(job, p, p.mats[1], g, it.tile, s, t, t.acc1, next);
        for (int i = 0; i < s.n; ++i) {
            float * acc = t.acc0 + size_t(i) * size_t(tr);
            char * out = (p.glu ? p.glu_out : m.out).at(r.slot[s.first + i]) + size_t(row0) * sizeof(float);
            if (p.glu) {
                activate(*job.table, p.activation, rows, acc, t.acc1 + size_t(i) * size_t(tr),
                         reinterpret_cast<float *>(out));
            } else {
                std::memcpy(out, acc, size_t(rows) * sizeof(float));
            }
        }
    }
}

void zero_unrouted(const Routing & r, const Rows & out, int32_t columns) {
    for (int32_t i = slots_of(r); i < r.slots; ++i) {
        std::memset(out.at(r.slot[i]), 0, size_t(columns) * sizeof(float));
    }
}

void up_phase(const Job & job, const Phase & p, std::atomic<int64_t> & counter, Thread & t, int ith, int threads) {
    const int n_mats = p.glu ? 1 : p.n_mats;
    for (int m = ith; m < n_mats; m += threads) {
        zero_unrouted(job.routing, p.glu ? p.glu_out : p.mats[m].out, p.mats[m].w.rows);
    }
    int64_t total = 0;
    for (int m = 0; m < n_mats; ++m) {
        total += int64_t(tiles_of(job, p.mats[m].w)) * job.routing.groups;
    }
    Work work(counter, total, threads, slots_of(job.routing) / std::max(job.routing.groups, 1));
    for (int64_t i, next; work.take(i, next);) {
        const uint8_t * ahead = nullptr;
        if (next >= 0) {
            const UpItem n = up_item_at(job, p, next);
            ahead = tile_start(job, p.mats[n.mat], n.group, n.tile);
        }
        run_up_item(job, p, up_item_at(job, p, i), t, ahead);
    }
}

// One tile of the down matrix for every expert: the sums of its rows belong to this item alone, so they are added
// in a fixed order whatever the number of threads.
void run_sum_item(const Job & job, int tile, Thread & t, int next_tile) {
    const Routing & r = job.routing;
    const Mat & m = job.down.mats[0];
    const int tr = job.table->tile_rows, row0 = tile * tr;
    const int rows = m.w.rows - row0 < tr ? m.w.rows - row0 : tr;
    for (int64_t tok = 0; tok < job.tokens; ++tok) {
        std::memset(m.out.at(tok) + size_t(row0) * sizeof(float), 0, size_t(rows) * sizeof(float));
    }
    for (int g = 0; g < r.groups; ++g) {
        const uint8_t * next = g + 1 < r.groups ? tile_start(job, m, g + 1, tile)
                               : next_tile >= 0 ? tile_start(job, m, 0, next_tile)
                                                : nullptr;
        wait_for(m.w, g);
        for (int32_t s0 = r.begin[g]; s0 < r.begin[g + 1]; s0 += MAX_CHUNK) {
            const Span s{s0, r.begin[g + 1] - s0 < MAX_CHUNK ? r.begin[g + 1] - s0 : MAX_CHUNK};
            tile_product(job, job.down, m, g, tile, s, t, t.acc0, next);
            for (int i = 0; i < s.n; ++i) {
                const int32_t slot = r.slot[s.first + i];
                float * out = reinterpret_cast<float *>(m.out.at(slot / r.used)) + row0;
                job.table->axpy(rows, job.slot_weight ? job.slot_weight[slot] : 1.0f, t.acc0 + size_t(i) * size_t(tr),
                                out);
            }
        }
    }
}

void sum_phase(const Job & job, std::atomic<int64_t> & counter, Thread & t, int threads) {
    Work work(counter, tiles_of(job, job.down.mats[0].w), threads, slots_of(job.routing));
    for (int64_t i, next; work.take(i, next);) {
        run_sum_item(job, static_cast<int>(i), t, static_cast<int>(next));
    }
}

void region(void * ctx, int ith, int nth, Barrier & barrier) {
    Job & job = *static_cast<Job *>(ctx);
    Thread t = thread_scratch(job, ith);
    quantize_phase(job.up, job.counter[0], nth);
    barrier.wait();
    if (ith == 0 && job.meanwhile != nullptr) job.meanwhile(job.meanwhile_ctx);
    up_phase(job, job.up, job.counter[1], t, ith, nth);
    if (!job.has_down) return;
    barrier.wait();
    quantize_phase(job.down, job.counter[2], nth);
    barrier.wait();
    if (job.sum) {
        sum_phase(job, job.counter[3], t, nth);
    } else {
        up_phase(job, job.down, job.counter[3], t, ith, nth);
    }
}

}  // namespace

size_t job_thread_scratch_bytes(const KernelTable &) {
    return 2 * ACC_BYTES + sizeof(uint8_t *) * MAX_CHUNK;
}

double job_work(const Job & job) {
    const double slots = slots_of(job.routing);
    double rows = 0;
    for (int m = 0; m < job.up.n_mats; ++m) {
        rows += job.up.mats[m].w.rows;
    }
    double work = slots * rows * job.up.k;
    if (job.has_down) work += slots * job.down.mats[0].w.rows * job.down.k;
    return work;
}

void job_run(Team & team, Job & job, int n_threads) {
    for (auto & c : job.counter) {
        c.store(0, std::memory_order_relaxed);
    }
    team.run(n_threads, region, &job);
}

}  // namespace moe

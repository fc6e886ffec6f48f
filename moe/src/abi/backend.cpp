// The C ABI: registry, device, buffers and backend as ggml expects them. Nothing here throws or aborts.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>
#include <new>
#include <string>

#include "ggml-moe.h"

#include "device/cache.h"
#include "device/pins.h"
#include "device/streaming.h"
#include "disk/mapped_files.h"
#include "disk/store.h"
#include "experts/table.h"
#include "experts/trace.h"
#include "ggml/log.h"
#include "graph/graph.h"
#include "graph/support.h"
#include "interface.h"
#include "os/memory.h"

#if defined(_WIN32)
#define MOE_EXPORT extern "C" __declspec(dllexport)
#else
#define MOE_EXPORT extern "C" __attribute__((visibility("default")))
#endif

namespace {

constexpr size_t ALIGNMENT = 32;  // as in a GGUF file, whose mapping is used in place

ggml_backend_dev_t device();
ggml_backend_reg_t registry();

// ---- buffers: plain host memory, allocated or mapped by the caller ----

void forget(ggml_backend_buffer_t b) {
    moe::caches_forget(b);
    moe::ExpertStore::instance().forget(b);
    moe::MappedFiles::instance().forget(b);
    moe::forget_buffer(b);
    moe::unpin(b);
}

void buffer_free(ggml_backend_buffer_t b) {
    forget(b);
    moe::os::give_back(b->context);
}
void buffer_memset(ggml_backend_buffer_t, ggml_tensor * t, uint8_t v, size_t off, size_t n) {
    std::memset(static_cast<char *>(t->data) + off, v, n);
}
void buffer_set(ggml_backend_buffer_t, ggml_tensor * t, const void * p, size_t off, size_t n) {
    std::memcpy(static_cast<char *>(t->data) + off, p, n);
}
void buffer_get(ggml_backend_buffer_t, const ggml_tensor * t, void * p, size_t off, size_t n) {
    std::memcpy(p, static_cast<const char *>(t->data) + off, n);
}

struct Mapped {
    void * base;
};
std::atomic<uint64_t> mapped_bytes{0};

void * base_allocated(ggml_backend_buffer_t b) {
    return b->context;
}
void * base_mapped(ggml_backend_buffer_t b) {
    return static_cast<Mapped *>(b->context)->base;
}
void free_mapped(ggml_backend_buffer_t b) {
    forget(b);
    mapped_bytes -= b->size;
    delete static_cast<Mapped *>(b->context);
}

void clear_allocated(ggml_backend_buffer_t b, uint8_t v) {
    std::memset(base_allocated(b), v, b->size);
}
void clear_mapped(ggml_backend_buffer_t b, uint8_t v) {
    std::memset(base_mapped(b), v, b->size);
}

bool buffer_copy(ggml_backend_buffer_t, const ggml_tensor * src, ggml_tensor * dst) {
    if (src->buffer == nullptr || !ggml_backend_buffer_is_host(src->buffer)) return false;
    std::memcpy(dst->data, src->data, ggml_nbytes(src));
    return true;
}

ggml_backend_buffer_i buffer_iface(bool mapped) {
    ggml_backend_buffer_i i{};
    i.free_buffer = mapped ? free_mapped : buffer_free;
    i.get_base = mapped ? base_mapped : base_allocated;
    i.memset_tensor = buffer_memset;
    i.set_tensor = buffer_set;
    i.get_tensor = buffer_get;
    i.cpy_tensor = buffer_copy;
    i.clear = mapped ? clear_mapped : clear_allocated;
    return i;
}

// ---- buffer type ----

const char * buft_name(ggml_backend_buffer_type_t) {
    return "MoE";
}

ggml_backend_buffer_t buft_alloc(ggml_backend_buffer_type_t buft, size_t size) {
    void * p = moe::os::allocate(64, size / 64 * 64 + 64);
    if (p == nullptr) {
        moe::log_error("cannot allocate a buffer of %zu bytes\n", size);
        return nullptr;
    }
    return ggml_backend_buffer_init(buft, buffer_iface(false), p, size);
}

size_t buft_alignment(ggml_backend_buffer_type_t) {
    return ALIGNMENT;
}
bool buft_is_host(ggml_backend_buffer_type_t) {
    return true;
}

ggml_backend_buffer_type_t buffer_type() {
    static ggml_backend_buffer_type t = [] {
        ggml_backend_buffer_type b{};
        b.iface.get_name = buft_name;
        b.iface.alloc_buffer = buft_alloc;
        b.iface.get_alignment = buft_alignment;
        b.iface.is_host = buft_is_host;
        b.device = device();
        return b;
    }();
    return &t;
}

// llama.cpp's --split-mode tensor makes one device out of all whose buffer type is not the CPU's, whatever their own
// type, and gives each a share of every tensor; one that cannot compute a whole model ends the process there. It asks
// for the buffer type out of the blue. Whoever would use it has asked the device directly before for its type
// (llama.cpp when it lists buffer types for the weights in host memory), for its properties (when it maps a file), or
// for a backend (when it creates a context). So only these are told.
thread_local bool type_is_wanted = false;  // by what this thread asked last

// ---- backend ----

const char * backend_name(ggml_backend_t) {
    return "MoE";
}

void backend_free(ggml_backend_t b) {
    type_is_wanted = false;
    delete static_cast<moe::Context *>(b->context);
    delete b;
}

// llama.cpp decides while it creates a context whether to use flash attention: it lays out a graph of one token per
// sequence, and if any device but the layer's own would compute the attention, does without. The graph of a whole
// batch, and the one of a token that it will reuse, come after. A thread that has created a backend therefore claims no
// attention until it is asked for one of more tokens than the first, or has computed something.
thread_local int64_t probe_tokens = 0;   // of the attention that is not to be claimed, at most
constexpr int64_t MOST_SEQUENCES = 256;  // of a context (LLAMA_MAX_SEQ)

bool may_be_probe(const ggml_tensor * op) {
    if (op->op != GGML_OP_FLASH_ATTN_EXT) return false;
    const int64_t tokens = op->src[0]->ne[1];
    probe_tokens = tokens <= probe_tokens ? tokens : 0;
    return probe_tokens > 0;
}

// Why a graph failed last, for a program that sees only that it did.
struct Failure {
    std::mutex mutex;
    uint64_t count = 0;
    std::string reason;
};
Failure & failure() {
    static Failure & f = *new Failure;  // never destroyed: contexts may compute while the process ends
    return f;
}

void note_failure(const char * reason) {
    moe::log_error("%s\n", reason);
    try {
        std::lock_guard<std::mutex> lock(failure().mutex);
        ++failure().count;
        failure().reason = reason;
    } catch (const std::bad_alloc &) {  // the log has it
    }
}

uint64_t last_failure(char * out, size_t capacity) {
    std::lock_guard<std::mutex> lock(failure().mutex);
    if (capacity > 0) std::snprintf(out, capacity, "%s", failure().reason.c_str());
    return failure().count;
}

ggml_status backend_compute(ggml_backend_t b, ggml_cgraph * graph) {
    probe_tokens = 0;
    try {
        return moe::graph_compute(*static_cast<moe::Context *>(b->context), graph) ? GGML_STATUS_SUCCESS
                                                                                   : GGML_STATUS_FAILED;
    } catch (const std::bad_alloc &) {
        note_failure("out of memory");
        return GGML_STATUS_ALLOC_FAILED;
    } catch (const std::exception & e) {
        note_failure(e.what());
        return GGML_STATUS_FAILED;
    }
}

void backend_set_n_threads(ggml_backend_t b, int n) {
    static_cast<moe::Context *>(b->context)->team.set_threads(n);
}

ggml_guid_t backend_guid() {
    static ggml_guid guid = {0x6d, 0x6f, 0x65, 0x2d, 0x65, 0x78, 0x70, 0x65,
                             0x72, 0x74, 0x2d, 0x63, 0x70, 0x75, 0x2d, 0x31};
    return &guid;
}

ggml_backend_t device_init(ggml_backend_dev_t dev, const char *) {
    type_is_wanted = true;
    probe_tokens = MOST_SEQUENCES;
    try {
        auto * c = new moe::Context;
        c->table = &moe::kernels();
        ggml_backend_i i{};
        i.get_name = backend_name;
        i.free = backend_free;
        i.graph_compute = backend_compute;
        return new ggml_backend{backend_guid(), i, dev, c};
    } catch (const std::exception & e) {
        moe::log_error("cannot create the backend: %s\n", e.what());
        return nullptr;
    }
}

// ---- device ----

const char * device_name(ggml_backend_dev_t) {
    type_is_wanted = false;
    return "MoE";
}

const char * device_description(ggml_backend_dev_t) {
    static const std::string text = std::string("CPU experts, ") + moe::kernels().name;
    return text.c_str();
}

// Its memory is the host's, which the CPU device reports.
void device_memory(ggml_backend_dev_t, size_t * free, size_t * total) {
    *free = *total = 0;
}

enum ggml_backend_dev_type device_type(ggml_backend_dev_t) {
    type_is_wanted = true;
    return GGML_BACKEND_DEVICE_TYPE_ACCEL;
}

void device_props(ggml_backend_dev_t dev, ggml_backend_dev_props * p) {
    *p = ggml_backend_dev_props{};
    p->name = device_name(dev);
    p->description = device_description(dev);
    type_is_wanted = true;
    p->type = GGML_BACKEND_DEVICE_TYPE_ACCEL;
    p->caps.buffer_from_host_ptr = true;
    p->caps.mmap_support = true;
}

ggml_backend_buffer_type_t device_buffer_type(ggml_backend_dev_t) {
    return type_is_wanted ? buffer_type() : ggml_backend_cpu_buffer_type();
}

ggml_backend_buffer_t device_buffer_from_ptr(ggml_backend_dev_t, void * ptr, size_t size, size_t) {
    auto * m = new (std::nothrow) Mapped{ptr};
    if (m == nullptr) return nullptr;
    mapped_bytes += size;
    ggml_backend_buffer_t b = ggml_backend_buffer_init(buffer_type(), buffer_iface(true), m, size);
    try {
        moe::MappedFiles::instance().mapped(b, ptr);
        moe::ExpertStore::instance().mapped(b, ptr, size);
    } catch (const std::exception &) {  // read through the mapping, as ever
    }
    return b;
}

bool is_ours(ggml_backend_buffer_t b) {
    return ggml_backend_buffer_get_type(b) == buffer_type();
}

// The expert weights of a product, or of the product that an addition follows.
const ggml_tensor * weights_of(const ggml_tensor * op) {
    return op->op == GGML_OP_ADD_ID ? op->src[0]->src[0] : op->src[0];
}

bool device_supports_op(ggml_backend_dev_t, const ggml_tensor * op) {
    // What is still on disk reaches a GPU no sooner than us.
    const bool is_for_gpu = moe::is_for_gpu(op) && !moe::ExpertStore::instance().reads(weights_of(op));
    const bool ours = moe::supports_op(op) && !may_be_probe(op) && !is_for_gpu;
    if (ours) {
        ggml_backend_dev_t gpu = moe::note_gpu(op);
        if (gpu != nullptr && is_ours(op->src[0]->buffer)) moe::pin(op->src[0]->buffer, gpu);
    }
    type_is_wanted = false;
    return ours;
}
bool device_supports_buft(ggml_backend_dev_t, ggml_backend_buffer_type_t buft) {
    return ggml_backend_buft_is_host(buft);
}

ggml_backend_dev_t device() {
    static ggml_backend_device d = [] {
        ggml_backend_device v{};
        v.iface.get_name = device_name;
        v.iface.get_description = device_description;
        v.iface.get_memory = device_memory;
        v.iface.get_type = device_type;
        v.iface.get_props = device_props;
        v.iface.init_backend = device_init;
        v.iface.get_buffer_type = device_buffer_type;
        v.iface.buffer_from_host_ptr = device_buffer_from_ptr;
        v.iface.supports_op = device_supports_op;
        v.iface.supports_buft = device_supports_buft;
        v.reg = registry();
        return v;
    }();
    return &d;
}

// ---- registry ----

const char * isa_name() {
    return moe::kernels().name;
}

void counters_reset() {
    moe::stats_reset();
    moe::cache_stats_reset();
    moe::ExpertStore::instance().reset_stats();
}

const char * disk_stats(ggml_moe_disk_stats * out) {
    moe::ExpertStore::instance().stats(out);
    return moe::ExpertStore::instance().text();
}

void memory(ggml_moe_memory * out, const void * dev) {
    *out = {moe::cache_bytes(dev), moe::pinned_bytes(), mapped_bytes};
}

const char * reg_name(ggml_backend_reg_t) {
    return "MoE";
}
size_t reg_device_count(ggml_backend_reg_t) {
    return 1;
}
ggml_backend_dev_t reg_device(ggml_backend_reg_t, size_t index) {
    return index == 0 ? device() : nullptr;
}

void * reg_proc_address(ggml_backend_reg_t, const char * name) {
    if (std::strcmp(name, "ggml_backend_set_n_threads") == 0) return reinterpret_cast<void *>(&backend_set_n_threads);
    if (std::strcmp(name, "ggml_moe_isa") == 0) return reinterpret_cast<void *>(&isa_name);
    if (std::strcmp(name, "ggml_moe_experts") == 0) return reinterpret_cast<void *>(&moe::stats_read);
    if (std::strcmp(name, "ggml_moe_experts_of") == 0) return reinterpret_cast<void *>(&moe::stats_read_of);
    if (std::strcmp(name, "ggml_moe_expert_stats_reset") == 0) return reinterpret_cast<void *>(&counters_reset);
    if (std::strcmp(name, "ggml_moe_cache_stats") == 0) return reinterpret_cast<void *>(&moe::cache_stats);
    if (std::strcmp(name, "ggml_moe_disk_stats") == 0) return reinterpret_cast<void *>(&disk_stats);
    if (std::strcmp(name, "ggml_moe_last_failure") == 0) return reinterpret_cast<void *>(&last_failure);
    if (std::strcmp(name, "ggml_moe_trace") == 0) return reinterpret_cast<void *>(&moe::trace_to);
    if (std::strcmp(name, "ggml_moe_memory") == 0) return reinterpret_cast<void *>(&memory);
    return nullptr;
}

ggml_backend_reg_t registry() {
    static ggml_backend_reg r = [] {
        ggml_backend_reg v{};
        v.api_version = GGML_MOE_API_VERSION;
        v.iface.get_name = reg_name;
        v.iface.get_device_count = reg_device_count;
        v.iface.get_device = reg_device;
        v.iface.get_proc_address = reg_proc_address;
        return v;
    }();
    return &r;
}

}  // namespace

MOE_EXPORT ggml_backend_reg_t ggml_backend_init(void) {
    return registry();
}
// Any processor can run the scalar kernels.
MOE_EXPORT int ggml_backend_score(void) {
    return 1;
}

#include "model_gpu.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <thread>
#ifdef __linux__
#include <cerrno>
#include <ctime>

#include <sys/prctl.h>
#endif

#include "ggml-backend-impl.h"
#include "ggml-cpu.h"
#include "os/memory.h"

namespace moe_test {

using Clock = std::chrono::steady_clock;

namespace {

// A thread that sleeps is woken this late at most, nearly always, if it asks for precision: measured on Linux 6.18 in a
// virtual machine, median 25 us, 90% below 56 us (83 us and 105 us without asking).
constexpr auto LATE = std::chrono::microseconds(60);

void sleep_until(Clock::time_point t) {
#ifdef __linux__
    thread_local const bool is_precise = ::prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL) == 0;
    (void)is_precise;
    const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(t.time_since_epoch()).count();
    const timespec due{static_cast<time_t>(ns / 1000000000), static_cast<long>(ns % 1000000000)};
    while (::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, nullptr) == EINTR) {
    }
#else
    std::this_thread::sleep_until(t);
#endif
}

}  // namespace

void wait_until(Clock::time_point t) {
    if (t - Clock::now() > LATE) sleep_until(t - LATE);
    while (Clock::now() < t) {
    }
}

struct ModelGpu::State {
    ModelGpuOptions options;
    ggml_backend_device device{};
    ggml_backend_buffer_type type{}, host_type{};
    ggml_backend_reg reg{};
    std::atomic<size_t> used{0}, most_allocation{SIZE_MAX};
    std::atomic<int> backends{0};
    std::atomic<uint64_t> graphs{0}, link_bytes{0};
    std::atomic<bool> fails{false}, throws_on_uploads{false}, throws_on_waits{false};
    std::mutex link;
    Clock::time_point link_free{};  // with timing: when the link has carried what it was asked to

    bool is_timed() const { return options.memory_bytes_per_s > 0 && !options.computes; }
    Clock::time_point carry(size_t bytes);
};

namespace {

ModelGpu::State & of(ggml_backend_dev_t d) {
    return *static_cast<ModelGpu::State *>(d->context);
}
ModelGpu::State & of(ggml_backend_buffer_type_t t) {
    return of(t->device);
}

Clock::duration seconds(double s) {
    return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(s));
}
// How long the link takes for this many bytes, which are about to be copied.
Clock::duration link_time(ModelGpu::State & s, size_t bytes) {
    s.link_bytes += bytes;
    return s.options.link_bytes_per_s > 0 ? seconds(double(bytes) / s.options.link_bytes_per_s) : Clock::duration(0);
}

}  // namespace

// When a copy ends by a card that reads the host's memory itself: no processor is busy meanwhile. A real link goes on
// with the next copy at once, so what a thread is woken late is not added to the next one's time.
Clock::time_point ModelGpu::State::carry(size_t bytes) {
    std::lock_guard<std::mutex> lock(link);
    const auto now = Clock::now();
    link_free = (link_free + LATE > now ? link_free : now) + link_time(*this, bytes);
    return link_free;
}

namespace {

// ---- memory ----

void free_buffer(ggml_backend_buffer_t b) {
    ModelGpu::State & s = of(b->buft);
    s.options.on_use(s.used -= b->size);
    moe::os::give_back(b->context);
}
void * base(ggml_backend_buffer_t b) {
    return b->context;
}
void copy_in(ggml_backend_buffer_t b, ggml_tensor * t, const void * p, size_t offset, size_t n) {
    const auto due = Clock::now() + link_time(of(b->buft), n);
    std::memcpy(static_cast<char *>(t->data) + offset, p, n);
    wait_until(due);
}
std::runtime_error lost_during_upload() {
    return std::runtime_error("the modelled GPU was lost during an upload");
}
void set_tensor(ggml_backend_buffer_t b, ggml_tensor * t, const void * p, size_t offset, size_t n) {
    ModelGpu::State & s = of(b->buft);
    if (s.throws_on_uploads) throw lost_during_upload();
    if (s.is_timed() && t->type != GGML_TYPE_I32) return sleep_until(s.carry(n));
    copy_in(b, t, p, offset, n);
}
void get_tensor(ggml_backend_buffer_t b, const ggml_tensor * t, void * p, size_t offset, size_t n) {
    const auto due = Clock::now() + link_time(of(b->buft), n);
    std::memcpy(p, static_cast<const char *>(t->data) + offset, n);
    wait_until(due);
}
void memset_tensor(ggml_backend_buffer_t, ggml_tensor * t, uint8_t v, size_t offset, size_t n) {
    std::memset(static_cast<char *>(t->data) + offset, v, n);
}
void clear(ggml_backend_buffer_t b, uint8_t v) {
    if (of(b->buft).is_timed()) return;  // nobody reads it, and it may be larger than the host's memory
    std::memset(b->context, v, b->size);
}

ggml_backend_buffer_t allocate(ggml_backend_buffer_type_t t, size_t size) {
    ModelGpu::State & s = of(t);
    if (size > s.options.max_buffer || size > s.most_allocation) return nullptr;
    const bool is_on_card = t == &s.type;
    if (is_on_card && s.used + s.options.used_by_others() + size > s.options.memory) return nullptr;
    ggml_backend_buffer_i i{};
    i.free_buffer = free_buffer;
    i.get_base = base;
    i.set_tensor = set_tensor;
    i.get_tensor = get_tensor;
    i.memset_tensor = memset_tensor;
    i.clear = clear;
    s.options.on_use(s.used += size);
    return ggml_backend_buffer_init(t, i, moe::os::allocate(128, size), size);
}

ggml_backend_buffer_t allocate_host(ggml_backend_buffer_type_t t, size_t size) {
    ggml_backend_buffer_t b = allocate(t, size);
    if (b != nullptr) of(t).options.on_use(of(t).used -= size);
    if (b != nullptr) {
        b->iface.free_buffer = [](ggml_backend_buffer_t x) { moe::os::give_back(x->context); };
    }
    return b;
}

// ---- a stream: what is asked for is done in order, by a thread ----

struct Stream {
    ModelGpu::State & gpu;
    ggml_backend_t cpu = ggml_backend_cpu_init();
    std::mutex mutex;
    std::condition_variable wake, idle;
    std::deque<std::function<void()>> waiting;
    bool busy = false, stop = false;
    Clock::time_point busy_until{}, copied_until{};  // with timing: graphs, uploads of weights
    std::thread thread{[this] { run(); }};

    explicit Stream(ModelGpu::State & s) : gpu(s) { ggml_backend_cpu_set_n_threads(cpu, 1); }
    ~Stream() {
        {
            std::lock_guard<std::mutex> lock(mutex);
            stop = true;
        }
        wake.notify_one();
        thread.join();
        ggml_backend_free(cpu);
    }
    Stream(const Stream &) = delete;
    Stream & operator=(const Stream &) = delete;

    void add(std::function<void()> f) {
        if (!gpu.options.async) return f();
        std::lock_guard<std::mutex> lock(mutex);
        waiting.push_back(std::move(f));
        wake.notify_one();
    }
    bool is_timed() const { return gpu.is_timed(); }
    // With timing nothing is computed: what is asked for only takes its time, and whoever waits waits for all of it.
    void take(Clock::duration t) { busy_until = std::max(busy_until, Clock::now()) + t; }
    void wait() {
        if (is_timed()) {
            if (copied_until > Clock::now()) sleep_until(copied_until);
            return wait_until(busy_until);
        }
        std::unique_lock<std::mutex> lock(mutex);
        idle.wait(lock, [this] { return waiting.empty() && !busy; });
    }
    void run() {
        std::unique_lock<std::mutex> lock(mutex);
        while (true) {
            wake.wait(lock, [this] { return stop || !waiting.empty(); });
            if (waiting.empty()) return;
            auto f = std::move(waiting.front());
            waiting.pop_front();
            busy = true;
            lock.unlock();
            f();
            lock.lock();
            busy = false;
            if (waiting.empty()) idle.notify_all();
        }
    }
};

Stream & stream(ggml_backend_t b) {
    return *static_cast<Stream *>(b->context);
}

// Bytes of the weights that a graph reads: an expert product those of its slots.
double weight_bytes(ggml_cgraph * g) {
    double bytes = 0;
    for (int i = 0; i < ggml_graph_n_nodes(g); ++i) {
        const ggml_tensor * n = ggml_graph_node(g, i);
        if (n->op == GGML_OP_MUL_MAT_ID) {
            bytes += double(n->src[0]->nb[2]) * double(std::min(ggml_nelements(n->src[2]), n->src[0]->ne[2]));
        }
        if (n->op == GGML_OP_MUL_MAT) bytes += double(ggml_nbytes(n->src[0]));
    }
    return bytes;
}

Clock::duration card_time(const ModelGpuOptions & o, ggml_cgraph * g) {
    return seconds(o.launch_s + (o.memory_bytes_per_s > 0 ? weight_bytes(g) / o.memory_bytes_per_s : 0));
}

ggml_status compute(ggml_backend_t b, ggml_cgraph * g) {
    Stream & s = stream(b);
    if (s.gpu.fails) return GGML_STATUS_FAILED;
    ++s.gpu.graphs;
    if (s.is_timed()) {
        const auto submitted = Clock::now() + seconds(s.gpu.options.submit_s);
        while (Clock::now() < submitted) {
        }
        s.take(card_time(s.gpu.options, g));
    } else {
        s.add([&s, g] {
            const auto due = Clock::now() + card_time(s.gpu.options, g);
            ggml_backend_graph_compute(s.cpu, g);
            wait_until(due);
        });
    }
    return GGML_STATUS_SUCCESS;
}

ggml_backend_t init(ggml_backend_dev_t d, const char *) {
    static ggml_guid guid = {1, 2, 3};
    ggml_backend_i i{};
    i.get_name = [](ggml_backend_t) { return "Model"; };
    i.free = [](ggml_backend_t b) {
        --stream(b).gpu.backends;
        delete &stream(b);
        delete b;
    };
    i.set_tensor_async = [](ggml_backend_t b, ggml_tensor * t, const void * p, size_t offset, size_t n) {
        Stream & s = stream(b);
        const bool is_weights = t->buffer->usage == GGML_BACKEND_BUFFER_USAGE_WEIGHTS;
        if (is_weights && s.gpu.throws_on_uploads) throw lost_during_upload();
        if (s.is_timed() && is_weights) {
            s.copied_until = s.gpu.carry(n);
        } else if (s.is_timed()) {
            s.take(link_time(s.gpu, n));
        } else {
            s.add([=] { copy_in(t->buffer, t, p, offset, n); });
        }
    };
    i.get_tensor_async = [](ggml_backend_t b, const ggml_tensor * t, void * p, size_t offset, size_t n) {
        if (stream(b).is_timed()) {
            if (t->type != GGML_TYPE_I32) return std::memset(p, 0, n), stream(b).take(link_time(stream(b).gpu, n));
            return get_tensor(t->buffer, t, p, offset, n);  // ggml's scheduler asks which experts are used
        }
        stream(b).add([=] { get_tensor(t->buffer, t, p, offset, n); });
    };
    i.synchronize = [](ggml_backend_t b) {
        stream(b).wait();
        if (stream(b).gpu.throws_on_waits) throw std::runtime_error("the modelled GPU was lost");
    };
    i.graph_compute = compute;
    ++of(d).backends;
    return new ggml_backend{&guid, i, d, new Stream(of(d))};
}

// ---- locked pages: a registry is a table of functions without a state, so this is the program's ----

struct Locks {
    std::mutex mutex;
    std::map<void *, size_t> pages;
    bool refused = false;
};
Locks & locks() {
    static Locks all;
    return all;
}
bool lock_pages(void * data, size_t bytes) {
    std::lock_guard<std::mutex> held(locks().mutex);
    return !locks().refused && locks().pages.emplace(data, bytes).second;
}
void unlock_pages(void * data) {
    std::lock_guard<std::mutex> held(locks().mutex);
    locks().pages.erase(data);
}
void * find_function(ggml_backend_reg_t, const char * name) {
    if (std::strcmp(name, "ggml_backend_register_host_buffer") == 0) return reinterpret_cast<void *>(&lock_pages);
    if (std::strcmp(name, "ggml_backend_unregister_host_buffer") == 0) return reinterpret_cast<void *>(&unlock_pages);
    return nullptr;
}

}  // namespace

ModelGpu::ModelGpu(ModelGpuOptions options) : state_(new State) {
    State & s = *state_;
    s.options = std::move(options);
    s.device.context = &s;
    ggml_backend_device_i & d = s.device.iface;
    d.get_name = [](ggml_backend_dev_t) { return "Model0"; };
    d.get_description = [](ggml_backend_dev_t v) { return of(v).options.description; };
    d.get_memory = [](ggml_backend_dev_t v, size_t * free, size_t * total) {
        *total = of(v).options.memory;
        *free = *total - std::min(*total, of(v).used + of(v).options.used_by_others());
    };
    d.get_type = [](ggml_backend_dev_t v) {
        return of(v).options.integrated ? GGML_BACKEND_DEVICE_TYPE_IGPU : GGML_BACKEND_DEVICE_TYPE_GPU;
    };
    d.get_props = [](ggml_backend_dev_t v, ggml_backend_dev_props * p) {
        *p = ggml_backend_dev_props{};
        p->name = ggml_backend_dev_name(v);
        p->description = ggml_backend_dev_description(v);
        p->type = ggml_backend_dev_type(v);
        ggml_backend_dev_memory(v, &p->memory_free, &p->memory_total);
        p->caps.async = of(v).options.async;
        p->caps.mmap_support = !of(v).options.integrated;
    };
    d.init_backend = init;
    d.get_buffer_type = [](ggml_backend_dev_t v) { return &of(v).type; };
    if (s.options.pinned_memory) d.get_host_buffer_type = [](ggml_backend_dev_t v) { return &of(v).host_type; };
    d.supports_op = [](ggml_backend_dev_t v, const ggml_tensor * op) { return of(v).options.supports(op); };
    d.offload_op = [](ggml_backend_dev_t v, const ggml_tensor * op) {
        const int64_t from = of(v).options.offload_from;
        return from > 0 && op->op == GGML_OP_MUL_MAT_ID && op->ne[2] >= from;
    };
    d.supports_buft = [](ggml_backend_dev_t v, ggml_backend_buffer_type_t t) { return t == &of(v).type; };
    s.device.reg = &s.reg;
    s.reg.context = &s;
    s.reg.iface.get_name = [](ggml_backend_reg_t r) { return static_cast<State *>(r->context)->options.backend_name; };
    s.reg.iface.get_device_count = [](ggml_backend_reg_t) { return size_t(1); };
    s.reg.iface.get_device = [](ggml_backend_reg_t r, size_t) { return &static_cast<State *>(r->context)->device; };
    if (s.options.locks_pages) s.reg.iface.get_proc_address = find_function;
    locks().refused = false;
    s.type.device = s.host_type.device = &s.device;
    s.type.iface.get_name = [](ggml_backend_buffer_type_t) { return "Model"; };
    s.type.iface.alloc_buffer = allocate;
    s.type.iface.get_alignment = [](ggml_backend_buffer_type_t) { return size_t(128); };
    s.type.iface.get_max_size = [](ggml_backend_buffer_type_t t) { return of(t).options.max_buffer; };
    s.host_type.iface = s.type.iface;
    s.host_type.iface.get_name = [](ggml_backend_buffer_type_t) { return "Model_Host"; };  // llama.cpp compares names
    s.host_type.iface.alloc_buffer = allocate_host;
    s.host_type.iface.get_max_size = nullptr;
    s.host_type.iface.is_host = [](ggml_backend_buffer_type_t) { return true; };
}
ModelGpu::~ModelGpu() = default;

ggml_backend_dev_t ModelGpu::device() {
    return &state_->device;
}
ggml_backend_reg_t ModelGpu::registry() {
    return &state_->reg;
}
size_t ModelGpu::used() const {
    return state_->used;
}
int ModelGpu::backends() const {
    return state_->backends;
}
uint64_t ModelGpu::link_bytes() const {
    return state_->link_bytes;
}
uint64_t ModelGpu::graphs() const {
    return state_->graphs;
}
std::map<void *, size_t> ModelGpu::locked() const {
    std::lock_guard<std::mutex> held(locks().mutex);
    return locks().pages;
}
void ModelGpu::refuse_locks() {
    std::lock_guard<std::mutex> held(locks().mutex);
    locks().refused = true;
}
void ModelGpu::fail_graphs(bool fail) {
    state_->fails = fail;
}
void ModelGpu::throw_on_uploads() {
    state_->throws_on_uploads = true;
}
void ModelGpu::throw_on_waits() {
    state_->throws_on_waits = true;
}
void ModelGpu::fail_allocations_above(size_t bytes) {
    state_->most_allocation = bytes;
}

}  // namespace moe_test

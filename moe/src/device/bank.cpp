#include "bank.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <limits>

#include "ggml-alloc.h"
#include "ggml/log.h"

namespace moe {

namespace {

constexpr int EXACT_ROWS = 8;  // larger batches are filled up to a power of two, so that few graphs serve all
constexpr int NODES = 16;      // of an expert FFN: three products, three biases, an activation, and its inputs

int filled_up(int tokens) {
    if (tokens <= EXACT_ROWS) return tokens;
    int n = EXACT_ROWS;
    while (n < tokens) {
        n *= 2;
    }
    return n;
}

// What it returns; false if it throws.
template <class Fn>
bool succeeds(const Fn & fn) {
    try {
        return fn();
    } catch (const std::exception & e) {
        log_info("%s\n", e.what());  // whoever asked warns
    } catch (...) {
    }
    return false;
}

size_t row_bytes(ggml_type type, int64_t columns, int64_t rows) {
    return ggml_row_size(type, columns) * size_t(rows);
}

// Tensors whose data lie on the device.
ggml_context * new_context(size_t tensors) {
    return ggml_init({tensors * ggml_tensor_overhead() + ggml_graph_overhead_custom(NODES, false), nullptr, true});
}

}  // namespace

bool FfnShape::operator==(const FfnShape & o) const {
    return gate == o.gate && up == o.up && down == o.down && n_embd == o.n_embd && n_ff == o.n_ff && n_out == o.n_out &&
           gate_bias == o.gate_bias && up_bias == o.up_bias && down_bias == o.down_bias &&
           std::memcmp(glu, o.glu, sizeof glu) == 0;
}

size_t FfnShape::expert_bytes() const {
    const int64_t bias_rows = (gate_bias ? n_ff : 0) + (up_bias ? n_ff : 0) + (down_bias ? n_out : 0);
    return row_bytes(gate, n_embd, n_ff) + row_bytes(up, n_embd, n_ff) + row_bytes(down, n_ff, n_out) +
           size_t(bias_rows) * sizeof(float);
}

// The FFN of some slots for some tokens, with its memory.
struct Bank::Graph {
    int used = 0, tokens = 0;
    ggml_context * c = nullptr;
    ggml_tensor *x = nullptr, *ids = nullptr, *out = nullptr;
    ggml_cgraph * nodes = nullptr;
    ggml_gallocr_t memory = nullptr;

    explicit Graph(ggml_backend_buffer_type_t type) : memory(ggml_gallocr_new(type)) {}
    ~Graph() {
        ggml_gallocr_free(memory);
        ggml_free(c);
    }
    Graph(const Graph &) = delete;
    Graph & operator=(const Graph &) = delete;

    void build(const Bank & b, int n_used, int n_tokens);
    bool allocate() { return ggml_gallocr_alloc_graph(memory, nodes); }
};

void Bank::Graph::build(const Bank & b, int n_used, int n_tokens) {
    ggml_free(c);
    used = n_used, tokens = n_tokens;
    c = new_context(NODES);
    x = ggml_new_tensor_3d(c, GGML_TYPE_F32, b.shape_.n_embd, 1, tokens);
    ids = ggml_new_tensor_2d(c, GGML_TYPE_I32, used, tokens);
    ggml_set_input(x);
    ggml_set_input(ids);
    const auto product = [&](ggml_tensor * w, ggml_tensor * bias, ggml_tensor * in) {
        ggml_tensor * y = ggml_mul_mat_id(c, w, in, ids);
        return bias == nullptr ? y : ggml_add_id(c, y, bias, ids);
    };
    ggml_tensor *gate = product(b.gate_, b.gate_bias_, x), *up = product(b.up_, b.up_bias_, x);
    ggml_tensor * mid = ggml_glu_split(c, gate, up, static_cast<ggml_glu_op>(b.shape_.glu[0]));
    std::memcpy(mid->op_params, b.shape_.glu, sizeof b.shape_.glu);
    out = product(b.down_, b.down_bias_, mid);
    ggml_set_output(out);
    nodes = ggml_new_graph_custom(c, NODES, false);
    ggml_build_forward_expand(nodes, out);
}

Bank::Bank(ggml_backend_dev_t device, const FfnShape & shape, int slots)
    : device_(device), shape_(shape), slots_(slots) {}

Bank::~Bank() {
    for (ggml_backend_t b : {uploads_, backend_}) {
        succeeds([&] {
            if (b != nullptr) ggml_backend_synchronize(b);
            return true;
        });
    }
    graphs_.clear();
    ggml_backend_buffer_free(pinned_);
    ggml_backend_buffer_free(buffer_);
    ggml_free(weights_);
    if (uploads_ != nullptr) ggml_backend_free(uploads_);
    if (backend_ != nullptr) ggml_backend_free(backend_);
}

int Bank::most_slots(ggml_backend_dev_t device, const FfnShape & s) {
    const size_t largest = std::max(
        {row_bytes(s.gate, s.n_embd, s.n_ff), row_bytes(s.up, s.n_embd, s.n_ff), row_bytes(s.down, s.n_ff, s.n_out)});
    const size_t most = ggml_backend_buft_get_max_size(ggml_backend_dev_buffer_type(device)) / largest;
    return static_cast<int>(std::min<size_t>(most, std::numeric_limits<int>::max())) - 1;  // one is spare
}

std::unique_ptr<Bank> Bank::make(ggml_backend_dev_t device, const FfnShape & shape, int slots) {
    std::unique_ptr<Bank> bank(new Bank(device, shape, slots));
    if (slots < 1 || !succeeds([&] { return bank->allocate(); })) return nullptr;
    return bank;
}

// Tensors have a spare slot at the end: some kernels of some GPUs read past the last expert.
bool Bank::allocate() {
    weights_ = new_context(6);
    const int64_t n = slots_ + 1;
    gate_ = ggml_new_tensor_3d(weights_, shape_.gate, shape_.n_embd, shape_.n_ff, n);
    up_ = ggml_new_tensor_3d(weights_, shape_.up, shape_.n_embd, shape_.n_ff, n);
    down_ = ggml_new_tensor_3d(weights_, shape_.down, shape_.n_ff, shape_.n_out, n);
    const auto bias = [&](int64_t rows) { return ggml_new_tensor_2d(weights_, GGML_TYPE_F32, rows, n); };
    if (shape_.gate_bias) gate_bias_ = bias(shape_.n_ff);
    if (shape_.up_bias) up_bias_ = bias(shape_.n_ff);
    if (shape_.down_bias) down_bias_ = bias(shape_.n_out);

    const ggml_backend_buffer_type_t type = ggml_backend_dev_buffer_type(device_);
    auto probe = std::make_unique<Graph>(type);
    probe->build(*this, 1, 1);
    for (int i = 0; i < ggml_graph_n_nodes(probe->nodes); ++i) {
        if (!ggml_backend_dev_supports_op(device_, ggml_graph_node(probe->nodes, i))) return false;
    }
    probe.reset();  // before its weights have a place
    buffer_ = ggml_backend_alloc_ctx_tensors_from_buft(weights_, type);
    if (buffer_ == nullptr) return false;
    ggml_backend_buffer_set_usage(buffer_, GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
    ggml_backend_buffer_clear(buffer_, 0);
    backend_ = ggml_backend_dev_init(device_, nullptr);
    bytes_ = told_ = ggml_backend_buffer_get_size(buffer_);
    ggml_backend_dev_props props;
    ggml_backend_dev_get_props(device_, &props);
    if (props.caps.async) uploads_ = ggml_backend_dev_init(device_, nullptr);
    return backend_ != nullptr;
}

size_t Bank::take_growth() {
    const size_t grown = bytes_ - told_;
    told_ = bytes_;
    return grown;
}

void Bank::copy(ggml_tensor * to, const FfnWeights::Source & from, int slot, int expert) {
    if (to == nullptr) return;
    const size_t bytes = to->nb[to->ne[2] > 1 ? 2 : 1];
    const char * data = from.data + size_t(expert) * from.stride;
    if (uploads_ != nullptr) {
        ggml_backend_tensor_set_async(uploads_, to, data, size_t(slot) * bytes, bytes);
    } else {
        ggml_backend_tensor_set(to, data, size_t(slot) * bytes, bytes);
    }
}

// Waits once for all matrices where the device allows it: whoever waits is woken each time, by a processor that others
// compute on (bench/LOG.md, entry 44).
bool Bank::load(int slot, const FfnWeights & w, int expert) {
    return succeeds([&] {
        copy(gate_, w.gate, slot, expert);
        copy(up_, w.up, slot, expert);
        copy(down_, w.down, slot, expert);
        copy(gate_bias_, w.gate_bias, slot, expert);
        copy(up_bias_, w.up_bias, slot, expert);
        copy(down_bias_, w.down_bias, slot, expert);
        if (uploads_ != nullptr) ggml_backend_synchronize(uploads_);
        return true;
    });
}

Bank::Graph * Bank::graph(int used, int tokens) {
    std::unique_ptr<Graph> & g = graphs_[{used, tokens}];
    if (g != nullptr) return g.get();
    g = std::make_unique<Graph>(ggml_backend_dev_buffer_type(device_));
    g->build(*this, used, tokens);
    if (!g->allocate()) {
        g.reset();
        return nullptr;
    }
    bytes_ += ggml_gallocr_get_buffer_size(g->memory, 0);
    return g.get();
}

float * Bank::input(int used, int tokens) {
    const size_t n = size_t(filled_up(tokens)), rows = n * size_t(used);
    const size_t floats = n * size_t(shape_.n_embd) + rows + rows * size_t(shape_.n_out);
    if (floats > staged_) {
        ggml_backend_buffer_free(pinned_);
        const ggml_backend_buffer_type_t type = ggml_backend_dev_host_buffer_type(device_);
        pinned_ = type != nullptr ? ggml_backend_buft_alloc_buffer(type, floats * sizeof(float)) : nullptr;
        if (pinned_ == nullptr) unpinned_.resize(floats);
        staged_ = floats;
    }
    return staged();
}

float * Bank::staged() {
    return pinned_ != nullptr ? static_cast<float *>(ggml_backend_buffer_get_base(pinned_)) : unpinned_.data();
}

bool Bank::start(const int32_t * slots, int used, int tokens) {
    return succeeds([&] { return start_or_throw(slots, used, tokens); });
}

bool Bank::start_or_throw(const int32_t * slots, int used, int tokens) {
    const int n = filled_up(tokens);
    Graph * g = graph(used, n);
    if (g == nullptr) return false;
    const size_t rows = size_t(n) * size_t(used), in = size_t(n) * size_t(shape_.n_embd);
    float *x = staged(), *ids = x + in, *out = ids + rows;
    const size_t wanted = size_t(tokens) * size_t(used);
    std::memcpy(ids, slots, wanted * sizeof(int32_t));
    for (size_t i = wanted; i < rows; ++i) {
        std::memcpy(ids + i, slots, sizeof(int32_t));  // nobody reads these rows
    }
    std::memset(x + size_t(tokens) * size_t(shape_.n_embd), 0,
                size_t(n - tokens) * size_t(shape_.n_embd) * sizeof(float));
    ggml_backend_tensor_set_async(backend_, g->x, x, 0, in * sizeof(float));
    ggml_backend_tensor_set_async(backend_, g->ids, ids, 0, rows * sizeof(int32_t));
    if (ggml_backend_graph_compute_async(backend_, g->nodes) != GGML_STATUS_SUCCESS) {
        ggml_backend_synchronize(backend_);
        return false;
    }
    ggml_backend_tensor_get_async(backend_, g->out, out, 0, wanted * size_t(shape_.n_out) * sizeof(float));
    result_ = out;
    return true;
}

const float * Bank::finish() {
    const bool done = succeeds([&] {
        ggml_backend_synchronize(backend_);
        return true;
    });
    return done ? result_ : nullptr;
}

}  // namespace moe

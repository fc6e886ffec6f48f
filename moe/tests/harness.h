// What the tests share: the plugin and ggml's CPU backend side by side, quantized random weights, an F64 reference.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "ggml-alloc.h"
#include "ggml-backend.h"
#include "ggml-moe.h"
#include "ggml.h"

namespace moe_test {

// The plugin: each test program has its own way to get at it.
ggml_backend_reg_t plugin();
template <class Fn>
Fn proc(const char * name) {
    return reinterpret_cast<Fn>(ggml_backend_reg_get_proc_address(plugin(), name));
}

// All weight types the backend claims.
const std::vector<ggml_type> & weight_types();
// A column count every row of the type can have: a multiple of its block, about `want`.
int64_t columns(ggml_type type, int64_t want);

// Deterministic normal numbers.
std::vector<float> normals(size_t n, uint32_t seed, float scale = 1.0f);
// Whether a type's indices stand for several columns at once: IQ1, IQ2 and IQ3.
bool has_codebook(ggml_type type);
// Sets what a block's scales are multiples of (if they are: the scales), and what its minimums are multiples of.
void set_scale(ggml_type type, uint8_t * block, float scale, float min_scale);
// A type's own quantization of values, row by row. With a codebook, for which ggml would search half a minute, anything
// else of about the same size.
std::vector<uint8_t> quantize(ggml_type type, const std::vector<float> & values, int64_t columns);
std::vector<double> dequantize(ggml_type type, const std::vector<uint8_t> & data, int64_t n);

// sum (a-b)^2 / sum b^2 (or least_energy, if that is more); infinity if a holds anything that is not finite
double nmse(const std::vector<float> & a, const std::vector<double> & b, double least_energy = 0.0);
// What sum b^2 is on average for the products of all rows of w with all rows of x, of k columns, in random directions.
double product_energy(const std::vector<double> & w, const std::vector<float> & x, int64_t k);

// What int8 activations cost: twice the mean squared rounding error over the mean square of x, per `block` columns.
double int8_bound(const std::vector<float> & x, int64_t columns, int64_t block);
// Twice that of the type's activation format; for float weights that of float sums.
double bound_for(ggml_type type, const std::vector<float> & x, int64_t columns);

// A graph on one backend: weights and inputs by value, computed once.
class Graph {
public:
    // threads 0: the backend's default
    explicit Graph(bool on_plugin, int threads = 0);
    ~Graph();
    Graph(const Graph &) = delete;
    Graph & operator=(const Graph &) = delete;

    ggml_context * ctx() { return ctx_; }
    ggml_tensor * weight(ggml_type type, std::vector<int64_t> ne, const std::vector<uint8_t> & data,
                         const char * name = "");
    ggml_tensor * input(std::vector<int64_t> ne, const std::vector<float> & data);
    ggml_tensor * ids(std::vector<int64_t> ne, const std::vector<int32_t> & data);
    // Adds a tensor, and what it is computed from, to the graph before all that is added later.
    void expand(ggml_tensor * t) { ggml_build_forward_expand(graph_, t); }
    // Computes `out` and returns it. Bytes after it in memory are checked; `canary_ok` tells.
    std::vector<float> compute(ggml_tensor * out, int repeats = 1, ggml_status expected = GGML_STATUS_SUCCESS);
    // Memory that is not needed any more is used again, as in llama.cpp; there is no canary then.
    void reuse_memory() { reuse_memory_ = true; }
    std::vector<float> read(const ggml_tensor * t) const;
    ggml_cgraph * graph() { return graph_; }
    bool canary_ok() const { return canary_ok_; }
    ggml_backend_t backend() { return backend_; }

private:
    struct Value {
        ggml_tensor * t;
        std::vector<uint8_t> data;
    };
    ggml_tensor * add(ggml_context * c, ggml_type type, const std::vector<int64_t> & ne, const void * data,
                      size_t bytes);

    ggml_backend_t backend_;
    ggml_context * weights_;
    ggml_context * ctx_;
    ggml_cgraph * graph_;
    ggml_gallocr_t allocator_ = nullptr;
    bool reuse_memory_ = false;
    std::vector<Value> values_;
    std::vector<ggml_backend_buffer_t> buffers_;
    bool canary_ok_ = false;
};

// Runs `build` on the plugin and on ggml's CPU backend.
struct Pair {
    std::vector<float> moe, cpu;
    bool canary;
};
Pair run_both(const std::function<ggml_tensor *(Graph &)> & build);

}  // namespace moe_test

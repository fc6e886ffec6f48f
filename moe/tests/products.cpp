// Products of expert weights on one backend, as often as asked, for counting what a backend executes for them
// (scripts/count-aarch64.sh).
//
//   ggml-moe-products PLUGIN|cpu|repack TYPE ROWS REPEATS [dense]
//
// PLUGIN is the path of libggml-moe.so; `cpu` is ggml's own code on weights as they are in a file, `repack` the same on
// weights in the layout that it copies some types into. Two experts of 256 rows and 2048 columns, ROWS tokens for each
// of them (MUL_MAT_ID); `dense`: one matrix of 256 rows and ROWS tokens (MUL_MAT). One thread.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "ggml-alloc.h"
#include "ggml-backend.h"
#include "ggml-cpu.h"
#include "ggml.h"

namespace {

constexpr int64_t COLUMNS = 2048, WEIGHT_ROWS = 256, EXPERTS = 2;

[[noreturn]] void fail(const std::string & why) {
    std::fprintf(stderr, "ggml-moe-products: %s\n", why.c_str());
    std::exit(2);
}

ggml_type type_of(const std::string & name) {
    for (int t = 0; t < GGML_TYPE_COUNT; ++t) {
        const auto type = static_cast<ggml_type>(t);
        if (ggml_type_name(type) != nullptr && name == ggml_type_name(type)) return type;
    }
    fail("unknown type " + name);
}

ggml_backend_dev_t device_of(const std::string & where) {
    if (where == "cpu" || where == "repack") return ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    ggml_backend_reg_t reg = ggml_backend_load(where.c_str());
    if (reg == nullptr) fail("cannot load " + where);
    return ggml_backend_reg_dev_get(reg, 0);
}

ggml_backend_buffer_type_t weight_buffers(ggml_backend_dev_t device, bool repacked) {
    if (!repacked) return ggml_backend_dev_buffer_type(device);
    auto extra = reinterpret_cast<ggml_backend_dev_get_extra_bufts_t>(
        ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(device), "ggml_backend_dev_get_extra_bufts"));
    for (ggml_backend_buffer_type_t * b = extra ? extra(device) : nullptr; b != nullptr && *b != nullptr; ++b) {
        if (std::strcmp(ggml_backend_buft_name(*b), "CPU_REPACK") == 0) return *b;
    }
    fail("this ggml does not repack weights");
}

// Bytes that are scales and weights of ordinary size in every type, wherever they lie.
void fill(ggml_tensor * t, uint32_t seed) {
    std::vector<uint8_t> bytes(ggml_nbytes(t));
    for (size_t i = 0; i < bytes.size(); ++i) {
        seed = seed * 1664525 + 1013904223;
        bytes[i] = static_cast<uint8_t>(i % 2 ? 0x20 + (seed >> 24) % 8 : seed >> 24);
    }
    ggml_backend_tensor_set(t, bytes.data(), 0, bytes.size());
}

ggml_context * context() {
    return ggml_init({size_t{1} << 20, nullptr, true});
}

}  // namespace

int main(int argc, char ** argv) {
    if (argc < 5) fail("usage: PLUGIN|cpu|repack TYPE ROWS REPEATS [dense]");
    const std::string where = argv[1];
    const ggml_type type = type_of(argv[2]);
    const int64_t rows = std::atoi(argv[3]);
    const int repeats = std::atoi(argv[4]);
    const bool dense = argc > 5;

    ggml_backend_dev_t device = device_of(where);
    ggml_backend_t backend = ggml_backend_dev_init(device, nullptr);
    auto set_threads = reinterpret_cast<ggml_backend_set_n_threads_t>(
        ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(device), "ggml_backend_set_n_threads"));
    set_threads(backend, 1);

    ggml_context *weights = context(), *rest = context();
    ggml_tensor * w = ggml_new_tensor_3d(weights, type, COLUMNS, WEIGHT_ROWS, dense ? 1 : EXPERTS);
    if (ggml_backend_alloc_ctx_tensors_from_buft(weights, weight_buffers(device, where == "repack")) == nullptr) {
        fail("no memory for weights of this type");
    }
    const int64_t tokens = dense ? rows : rows * EXPERTS;
    ggml_tensor * x = dense ? ggml_new_tensor_2d(rest, GGML_TYPE_F32, COLUMNS, tokens)
                            : ggml_new_tensor_3d(rest, GGML_TYPE_F32, COLUMNS, 1, tokens);
    ggml_tensor * ids = ggml_new_tensor_2d(rest, GGML_TYPE_I32, 1, tokens);
    ggml_tensor * y = dense ? ggml_mul_mat(rest, w, x) : ggml_mul_mat_id(rest, w, x, ids);
    ggml_cgraph * graph = ggml_new_graph(rest);
    ggml_build_forward_expand(graph, y);
    if (ggml_backend_alloc_ctx_tensors(rest, backend) == nullptr) fail("no memory");
    if (!ggml_backend_dev_supports_op(device, y)) fail("this backend does not take the product");
    fill(w, 1);
    std::vector<float> values(static_cast<size_t>(COLUMNS * tokens));
    for (size_t i = 0; i < values.size(); ++i) {
        values[i] = static_cast<float>(static_cast<int>(i * 7919 % 255) - 127) / 100.0f;
    }
    ggml_backend_tensor_set(x, values.data(), 0, ggml_nbytes(x));
    std::vector<int32_t> expert(static_cast<size_t>(tokens));
    for (size_t i = 0; i < expert.size(); ++i) {
        expert[i] = static_cast<int32_t>(i % EXPERTS);
    }
    if (!dense) ggml_backend_tensor_set(ids, expert.data(), 0, ggml_nbytes(ids));
    for (int i = 0; i < repeats; ++i) {
        if (ggml_backend_graph_compute(backend, graph) != GGML_STATUS_SUCCESS) fail("the product failed");
    }
    float first = 0;
    ggml_backend_tensor_get(y, &first, 0, sizeof first);
    std::printf("%g\n", static_cast<double>(first));
    return 0;
}

// A small model whose experts are cached in VRAM beside a GPU that is made up.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <optional>
#include <random>

#include "device/settings.h"
#include "environment.h"
#include "ggml-backend-impl.h"
#include "graph/graph.h"
#include "harness.h"
#include "log_catcher.h"
#include "model_gpu.h"

namespace moe_test::cached {

inline size_t us(int64_t v) {
    return static_cast<size_t>(v);
}

struct Shape {
    ggml_type gate = GGML_TYPE_F16, up = GGML_TYPE_F16, down = GGML_TYPE_F16;
    int64_t embd = 64, ff = 96, experts = 8, used = 2;
    int layers = 3;
    bool bias = false, weighted = true;
    bool scaled = false;  // the up projection by a number for each expert
    bool gated = true;    // else the activation is a squared ReLU
    ggml_glu_op glu = GGML_GLU_OP_SWIGLU;
};

struct CacheSize {
    explicit CacheSize(const std::string & size) { moe_test::set_variable("GGML_MOE_CACHE", size.c_str()); }
    ~CacheSize() { moe_test::unset_variable("GGML_MOE_CACHE"); }
};

inline ggml_moe_cache_stats stats(std::string * text = nullptr) {
    ggml_moe_cache_stats s;
    const char * t = proc<ggml_moe_cache_stats_t>("ggml_moe_cache_stats")(&s);
    if (text != nullptr) *text = t;
    return s;
}
inline std::string text() {
    std::string t;
    stats(&t);
    return t;
}
inline uint64_t cache_bytes(ModelGpu * of = nullptr) {
    ggml_moe_memory m;
    proc<ggml_moe_memory_t>("ggml_moe_memory")(&m, of == nullptr ? nullptr : of->device());
    return m.cache_bytes;
}
inline void reset() {
    proc<ggml_moe_expert_stats_reset_t>("ggml_moe_expert_stats_reset")();
}

// The experts of a model's layers in memory of the plugin, and a backend that computes them.
class Model {
public:
    explicit Model(const Shape & s, ModelGpu * gpu = nullptr, int gpu_layers = 1000) : s_(s) {
        backend_ = ggml_backend_dev_init(dev(), nullptr);
        c_ = ggml_init({1u << 20, nullptr, true});
        for (int l = 0; l < s.layers; ++l) {
            layers_.push_back({matrix(l, "gate", s.gate, s.embd, s.ff), matrix(l, "up", s.up, s.embd, s.ff),
                               matrix(l, "down", s.down, s.ff, s.embd), bias(l, "gate", s.ff), bias(l, "up", s.ff),
                               bias(l, "down", s.embd), scales(l)});
        }
        ggml_backend_dev_type(dev());  // whoever asks for the buffer type has asked this before
        weights_ = ggml_backend_alloc_ctx_tensors_from_buft(c_, ggml_backend_dev_buffer_type(dev()));
        ggml_backend_buffer_set_usage(weights_, GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
        uint32_t seed = 1;
        for (ggml_tensor * t = ggml_get_first_tensor(c_); t != nullptr; t = ggml_get_next_tensor(c_, t)) {
            // quantized once per tensor, for at most two experts: random numbers take long
            const int64_t some = std::min<int64_t>(t->ne[2], 2) * t->ne[0] * t->ne[1];
            const auto data = quantize(t->type, normals(us(some), ++seed, 0.3f), t->ne[0]);
            for (size_t at = 0; at < ggml_nbytes(t); at += data.size()) {
                ggml_backend_tensor_set(t, data.data(), at, std::min(data.size(), ggml_nbytes(t) - at));
            }
        }
        for (int l = 0; gpu != nullptr && l < std::min(s.layers, gpu_layers); ++l) {
            moe::expert_tensor(layers_[us(l)].down)->gpu = gpu->device();
        }
    }
    ~Model() {
        free_backend();
        free_weights();
    }
    Model(const Model &) = delete;
    Model & operator=(const Model &) = delete;

    void free_backend() {
        if (backend_ != nullptr) ggml_backend_free(backend_);
        backend_ = nullptr;
    }
    void free_weights() {
        ggml_backend_buffer_free(weights_);
        ggml_free(c_);
        weights_ = nullptr, c_ = nullptr;
    }

    // One layer for these tokens; ids[token][used].
    std::vector<float> layer(int l, const std::vector<int32_t> & ids, uint32_t seed) {
        const int64_t tokens = static_cast<int64_t>(ids.size()) / s_.used;
        ggml_context * c = ggml_init({1u << 18, nullptr, true});
        ggml_cgraph * graph = ggml_new_graph(c);
        ggml_tensor * x = ggml_new_tensor_3d(c, GGML_TYPE_F32, s_.embd, 1, tokens);
        ggml_tensor * route = ggml_new_tensor_2d(c, GGML_TYPE_I32, s_.used, tokens);
        ggml_tensor * w = ggml_new_tensor_3d(c, GGML_TYPE_F32, 1, s_.used, tokens);
        for (ggml_tensor * t : {x, route, w}) {
            ggml_set_input(t);
        }
        const Layer & m = layers_[us(l)];
        const auto product = [&](ggml_tensor * weight, ggml_tensor * b, ggml_tensor * in) {
            ggml_tensor * y = ggml_mul_mat_id(c, weight, in, route);
            return b == nullptr ? y : ggml_add_id(c, y, b, route);
        };
        ggml_tensor * up = product(m.up, m.up_bias, x);
        if (m.up_scales != nullptr) {
            ggml_tensor * scales = ggml_reshape_3d(c, m.up_scales, 1, s_.experts, 1);
            up = ggml_mul(c, up, ggml_get_rows(c, ggml_repeat_4d(c, scales, 1, s_.experts, tokens, 1), route));
        }
        ggml_tensor * gate = s_.gated ? product(m.gate, m.gate_bias, x) : nullptr;
        ggml_tensor * mid = !s_.gated                          ? ggml_sqr(c, ggml_relu(c, up))
                            : s_.glu == GGML_GLU_OP_SWIGLU_OAI ? ggml_swiglu_oai(c, gate, up, 1.702f, 7.0f)
                                                               : ggml_glu_split(c, gate, up, s_.glu);
        ggml_tensor * out = product(m.down, m.down_bias, mid);
        if (s_.weighted) {
            ggml_tensor *y = ggml_mul(c, out, w), *sum = nullptr;
            for (int64_t u = 0; u < s_.used; ++u) {
                ggml_tensor * v = ggml_view_2d(c, y, s_.embd, tokens, y->nb[2], us(u) * y->nb[1]);
                sum = sum ? ggml_add(c, sum, v) : v;
            }
            out = sum;
        }
        ggml_set_output(out);
        ggml_build_forward_expand(graph, w);
        ggml_build_forward_expand(graph, out);
        ggml_gallocr_t memory = ggml_gallocr_new(ggml_backend_cpu_buffer_type());
        ggml_gallocr_alloc_graph(memory, graph);
        const auto in = normals(us(s_.embd * tokens), seed), weight = normals(us(s_.used * tokens), seed + 1);
        ggml_backend_tensor_set(x, in.data(), 0, in.size() * sizeof(float));
        ggml_backend_tensor_set(route, ids.data(), 0, ids.size() * sizeof(int32_t));
        if (s_.weighted) ggml_backend_tensor_set(w, weight.data(), 0, weight.size() * sizeof(float));
        EXPECT_EQ(ggml_backend_graph_compute(backend_, graph), GGML_STATUS_SUCCESS);
        std::vector<float> result(us(ggml_nelements(out)));
        ggml_backend_tensor_get(out, result.data(), 0, result.size() * sizeof(float));
        ggml_gallocr_free(memory);
        ggml_free(c);
        return result;
    }

    // The same in F64, without rounding anything.
    std::vector<double> exact(int l, const std::vector<int32_t> & ids, uint32_t seed) const {
        const int64_t tokens = static_cast<int64_t>(ids.size()) / s_.used;
        const auto in = normals(us(s_.embd * tokens), seed), weight = normals(us(s_.used * tokens), seed + 1);
        const Layer & m = layers_[us(l)];
        const auto gate = values(m.gate), up = values(m.up), down = values(m.down);
        std::vector<double> out(us(s_.embd * tokens), 0.0), mid(us(s_.ff));
        const auto row = [](const std::vector<double> & w, int64_t e, int64_t rows, int64_t r, int64_t k, auto * x) {
            const double * at = w.data() + us((e * rows + r) * k);
            double sum = 0;
            for (int64_t i = 0; i < k; ++i) {
                sum += at[i] * double(x[i]);
            }
            return sum;
        };
        for (size_t slot = 0; slot < ids.size(); ++slot) {
            const size_t token = slot / us(s_.used);
            const float * x = in.data() + token * us(s_.embd);
            for (int64_t r = 0; r < s_.ff; ++r) {
                const double g = row(gate, ids[slot], s_.ff, r, s_.embd, x);
                mid[us(r)] = g / (1 + std::exp(-g)) * row(up, ids[slot], s_.ff, r, s_.embd, x);
            }
            for (int64_t r = 0; r < s_.embd; ++r) {
                out[token * us(s_.embd) + us(r)] +=
                    double(weight[slot]) * row(down, ids[slot], s_.embd, r, s_.ff, mid.data());
            }
        }
        return out;
    }

    // All layers for batches of this many tokens, routed at random; what has been asked for is uploaded in between.
    std::vector<float> run(int batches, int64_t tokens, uint32_t seed = 1) {
        std::mt19937 rng(seed);
        std::vector<float> all;
        for (int b = 0; b < batches; ++b) {
            for (int l = 0; l < s_.layers; ++l) {
                std::vector<int32_t> ids;
                for (int64_t t = 0; t < tokens; ++t) {
                    std::vector<int32_t> e(us(s_.experts));
                    for (int64_t i = 0; i < s_.experts; ++i) {
                        e[us(i)] = static_cast<int32_t>(i);
                    }
                    std::shuffle(e.begin(), e.end(), rng);
                    ids.insert(ids.end(), e.begin(), e.begin() + s_.used);
                }
                const auto out = layer(l, ids, seed + 1000u * unsigned(b) + unsigned(l));
                all.insert(all.end(), out.begin(), out.end());
                cache().wait_for_uploads();
            }
        }
        return all;
    }

    void set_gpu(int l, ModelGpu & gpu) { moe::expert_tensor(layers_[us(l)].down)->gpu = gpu.device(); }
    moe::ExpertCache & cache() { return static_cast<moe::Context *>(backend_->context)->cache; }
    size_t expert_bytes(int l) const {
        const Layer & m = layers_[us(l)];
        size_t n = m.gate->nb[2] + m.up->nb[2] + m.down->nb[2];
        if (s_.bias) n += m.gate_bias->nb[1] + m.up_bias->nb[1] + m.down_bias->nb[1];
        return n;
    }

private:
    struct Layer {
        ggml_tensor *gate, *up, *down, *gate_bias, *up_bias, *down_bias, *up_scales;
    };
    static std::vector<double> values(ggml_tensor * t) {
        std::vector<uint8_t> data(ggml_nbytes(t));
        ggml_backend_tensor_get(t, data.data(), 0, data.size());
        return dequantize(t->type, data, ggml_nelements(t));
    }
    static ggml_backend_dev_t dev() { return ggml_backend_reg_dev_get(plugin(), 0); }
    ggml_tensor * matrix(int l, const char * name, ggml_type type, int64_t k, int64_t rows) {
        ggml_tensor * t = ggml_new_tensor_3d(c_, type, k, rows, s_.experts);
        ggml_format_name(t, "blk.%d.ffn_%s_exps.weight", l, name);
        return t;
    }
    ggml_tensor * bias(int l, const char * name, int64_t rows) {
        if (!s_.bias) return nullptr;
        ggml_tensor * t = ggml_new_tensor_2d(c_, GGML_TYPE_F32, rows, s_.experts);
        ggml_format_name(t, "blk.%d.ffn_%s_exps.bias", l, name);
        return t;
    }
    ggml_tensor * scales(int l) {
        if (!s_.scaled) return nullptr;
        ggml_tensor * t = ggml_new_tensor_1d(c_, GGML_TYPE_F32, s_.experts);
        ggml_format_name(t, "blk.%d.ffn_up_exps.scale", l);
        return t;
    }

    Shape s_;
    ggml_backend_t backend_ = nullptr;
    ggml_context * c_ = nullptr;
    ggml_backend_buffer_t weights_ = nullptr;
    std::vector<Layer> layers_;
};

inline std::vector<float> without_cache(const Shape & s, int batches, int64_t tokens, uint32_t seed = 1) {
    const CacheSize off("off");
    return Model(s).run(batches, tokens, seed);
}

inline double difference(const std::vector<float> & a, const std::vector<float> & b) {
    return nmse(a, std::vector<double>(b.begin(), b.end()));
}

// The GPU multiplies as ggml's CPU backend does, which rounds activations its own way: as in test_ffn.cpp.
inline constexpr double FLOAT_ERROR = 1e-5, QUANTIZED_ERROR = 4e-4;

}  // namespace moe_test::cached

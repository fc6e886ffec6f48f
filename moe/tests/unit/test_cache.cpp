// Experts in VRAM beside a GPU that is made up: the same results as without, every figure of the cache, and what
// happens when the GPU has too little memory, cannot do it, or fails.
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

using namespace moe_test;

namespace {

size_t us(int64_t v) {
    return static_cast<size_t>(v);
}

struct Shape {
    ggml_type gate = GGML_TYPE_F16, up = GGML_TYPE_F16, down = GGML_TYPE_F16;
    int64_t embd = 64, ff = 96, experts = 8, used = 2;
    int layers = 3;
    bool bias = false, weighted = true;
    ggml_glu_op glu = GGML_GLU_OP_SWIGLU;
};

struct CacheSize {
    explicit CacheSize(const std::string & size) { moe_test::set_variable("GGML_MOE_CACHE", size.c_str()); }
    ~CacheSize() { moe_test::unset_variable("GGML_MOE_CACHE"); }
};

ggml_moe_cache_stats stats(std::string * text = nullptr) {
    ggml_moe_cache_stats s;
    const char * t = proc<ggml_moe_cache_stats_t>("ggml_moe_cache_stats")(&s);
    if (text != nullptr) *text = t;
    return s;
}
std::string text() {
    std::string t;
    stats(&t);
    return t;
}
uint64_t cache_bytes(ModelGpu * of = nullptr) {
    ggml_moe_memory m;
    proc<ggml_moe_memory_t>("ggml_moe_memory")(&m, of == nullptr ? nullptr : of->device());
    return m.cache_bytes;
}
void reset() {
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
                               bias(l, "down", s.embd)});
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
        ggml_tensor *up = product(m.up, m.up_bias, x), *gate = product(m.gate, m.gate_bias, x);
        ggml_tensor * mid = s_.glu == GGML_GLU_OP_SWIGLU_OAI ? ggml_swiglu_oai(c, gate, up, 1.702f, 7.0f)
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
        ggml_tensor *gate, *up, *down, *gate_bias, *up_bias, *down_bias;
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

    Shape s_;
    ggml_backend_t backend_ = nullptr;
    ggml_context * c_ = nullptr;
    ggml_backend_buffer_t weights_ = nullptr;
    std::vector<Layer> layers_;
};

std::vector<float> without_cache(const Shape & s, int batches, int64_t tokens, uint32_t seed = 1) {
    const CacheSize off("off");
    return Model(s).run(batches, tokens, seed);
}

double difference(const std::vector<float> & a, const std::vector<float> & b) {
    return nmse(a, std::vector<double>(b.begin(), b.end()));
}

// The GPU multiplies as ggml's CPU backend does, which rounds activations its own way: as in test_ffn.cpp.
constexpr double kFloat = 1e-5, kQuantized = 4e-4;

}  // namespace

TEST(Cache, SameResultsFromBothSides) {
    const Shape s;
    for (const int64_t tokens : {1, 2, 7, 40}) {
        const auto expected = without_cache(s, 12, tokens);
        reset();
        ModelGpu gpu;
        const CacheSize size("256KiB");  // 7 of 24 experts
        Model m(s, &gpu);
        const auto got = m.run(12, tokens);
        EXPECT_LT(difference(got, expected), kFloat) << tokens;
        const auto n = stats();
        EXPECT_GT(n.hits, 0u) << tokens;
        EXPECT_LT(n.hits, n.lookups) << tokens;
        EXPECT_GT(gpu.graphs(), 0u);
        EXPECT_EQ(n.failures, 0u);
    }
}
// Against F64, with the bounds of the CPU alone (test_ffn.cpp), and no further off than it by more than half.
TEST(Cache, AsCloseToExactResultsAsTheCpu) {
    for (const ggml_type type : {GGML_TYPE_F16, GGML_TYPE_Q8_0, GGML_TYPE_Q4_K, GGML_TYPE_Q2_K}) {
        Shape s;
        s.embd = s.ff = 256;
        s.gate = s.up = s.down = type;
        const std::vector<int32_t> ids{1, 2, 3, 4, 5, 1};
        const auto compute = [&](const std::string & size, std::vector<double> & exact) {
            ModelGpu gpu;
            const CacheSize cache(size);
            Model m(s, &gpu);
            for (int i = 0; i < 4; ++i) {  // the cache opens, and three of the five experts come into it
                m.layer(0, {1, 2, 3, 1, 2, 3}, 7);
                m.cache().wait_for_uploads();
            }
            reset();
            exact = m.exact(0, ids, 9);
            return m.layer(0, ids, 9);
        };
        std::vector<double> exact;
        const double cpu = nmse(compute("off", exact), exact);
        const double both = nmse(compute("64MiB", exact), exact);
        EXPECT_EQ(stats().hits, 3u);
        EXPECT_EQ(stats().lookups, 5u);
        EXPECT_LT(cpu, type == GGML_TYPE_F16 ? kFloat : kQuantized) << ggml_type_name(type);
        EXPECT_LT(both, type == GGML_TYPE_F16 ? kFloat : kQuantized) << ggml_type_name(type);
        if (type != GGML_TYPE_F16) {
            EXPECT_LT(both, 1.5 * cpu) << ggml_type_name(type);
        }
    }
}
TEST(Cache, AllExpertsInVram) {
    const Shape s;
    const auto expected = without_cache(s, 20, 1);
    reset();
    ModelGpu gpu;
    const CacheSize size("64MiB");
    Model m(s, &gpu);
    EXPECT_LT(difference(m.run(20, 1), expected), kFloat);
    const auto n = stats();
    EXPECT_EQ(n.slots, 24u);
    EXPECT_EQ(n.experts, 24u);
    EXPECT_EQ(n.uploads, n.resident) << "nothing is ever evicted";
    m.run(10, 1, 7);
    reset();
    m.run(4, 1, 9);
    EXPECT_EQ(stats().hits, 4u * 3 * 2) << "every look-up";
    EXPECT_EQ(stats().lookups, 4u * 3 * 2);
}
TEST(Cache, GptOssLikeWithBiases) {
    Shape s;
    s.gate = s.up = s.down = GGML_TYPE_MXFP4;
    s.bias = true;
    s.used = 4;
    s.glu = GGML_GLU_OP_SWIGLU_OAI;
    for (const int64_t tokens : {1, 5}) {
        const auto expected = without_cache(s, 12, tokens);
        reset();
        ModelGpu gpu;
        const CacheSize size("100KiB");
        EXPECT_LT(difference(Model(s, &gpu).run(12, tokens), expected), kQuantized) << tokens;
        EXPECT_GT(stats().hits, 0u);
    }
}
TEST(Cache, MixedTypesInOneExpert) {
    Shape s;
    s.embd = s.ff = 256;
    s.gate = GGML_TYPE_Q4_K, s.up = GGML_TYPE_Q4_K, s.down = GGML_TYPE_Q6_K;
    const auto expected = without_cache(s, 10, 1);
    reset();
    ModelGpu gpu;
    const CacheSize size("1MiB");
    EXPECT_LT(difference(Model(s, &gpu).run(10, 1), expected), kQuantized);
    EXPECT_GT(stats().hits, 0u);
}
TEST(Cache, RowsThatAreNotSummed) {
    Shape s;
    s.weighted = false;
    for (const int64_t tokens : {1, 6}) {
        const auto expected = without_cache(s, 10, tokens);
        reset();
        ModelGpu gpu;
        const CacheSize size("256KiB");
        EXPECT_LT(difference(Model(s, &gpu).run(10, tokens), expected), kFloat) << tokens;
        EXPECT_GT(stats().hits, 0u);
    }
}
TEST(Cache, OneExpertAndManyExperts) {
    for (const int64_t experts : {1, 2, 512}) {
        Shape s;
        s.experts = experts;
        s.used = std::min<int64_t>(experts, 8);
        s.embd = 32, s.ff = 32, s.layers = 2;
        const auto expected = without_cache(s, 8, 2);
        reset();
        ModelGpu gpu;
        const CacheSize size("1MiB");
        EXPECT_LT(difference(Model(s, &gpu).run(8, 2), expected), kFloat) << experts;
        EXPECT_GT(stats().hits, 0u) << experts;
    }
}
TEST(Cache, IdsOutOfRangeGiveZeroRows) {
    Shape s;
    s.weighted = false;
    ModelGpu gpu;
    const CacheSize size("64MiB");
    Model m(s, &gpu);
    m.run(20, 1);
    for (const std::vector<int32_t> & ids : {std::vector<int32_t>{3, -1}, {8, 3}, {-5, 1 << 30}, {2, 3, -1, 4}}) {
        const auto out = m.layer(1, ids, 5);
        for (size_t i = 0; i < ids.size(); ++i) {
            double sum = 0;
            for (size_t j = 0; j < us(s.embd); ++j) {
                sum += std::fabs(out[i * us(s.embd) + j]);
            }
            EXPECT_EQ(sum != 0, ids[i] >= 0 && ids[i] < 8) << ids[i];
        }
    }
}
TEST(Cache, TensorsLargerThanABufferOfTheGpu) {
    const Shape s;
    const auto expected = without_cache(s, 16, 4);
    reset();
    ModelGpuOptions o;
    o.max_buffer = 4 * 64 * 96 * 2;  // three experts of a matrix, and the spare one
    ModelGpu gpu(o);
    const CacheSize size("512KiB");  // 14 experts
    Model m(s, &gpu);
    EXPECT_LT(difference(m.run(16, 4), expected), kFloat);
    EXPECT_EQ(stats().slots, 14u);
    EXPECT_EQ(gpu.backends(), 5) << "3 + 3 + 3 + 3 + 2";
    EXPECT_GT(stats().hits, 0u);
}
TEST(Cache, LessMemoryThanTheGpuSaid) {
    const Shape s;
    const auto expected = without_cache(s, 16, 1);
    reset();
    ModelGpu gpu;
    gpu.fail_allocations_above(8 * 3 * 64 * 96 * 2);  // 7 experts of all matrices
    const CacheSize size("64MiB");
    LogCatcher log;
    Model m(s, &gpu);
    EXPECT_LT(difference(m.run(16, 1), expected), kFloat);
    EXPECT_GT(stats().slots, 2u);
    EXPECT_NE(log.text().find("Model0: less memory than it said"), std::string::npos) << log.text();
}
TEST(Cache, NoMemoryAtAll) {
    const Shape s;
    const auto expected = without_cache(s, 6, 1);
    ModelGpu gpu;
    gpu.fail_allocations_above(100);
    const CacheSize size("64MiB");
    EXPECT_EQ(difference(Model(s, &gpu).run(6, 1), expected), 0);
    EXPECT_EQ(text(), "off: no room for an expert in VRAM");
    EXPECT_EQ(gpu.used(), 0u);
}
TEST(Cache, TypesThatTheGpuLacksStayOnTheCpu) {
    const Shape s;
    const auto expected = without_cache(s, 6, 1);
    ModelGpuOptions o;
    o.supports = [](const ggml_tensor * op) { return op->op != GGML_OP_MUL_MAT_ID; };
    ModelGpu gpu(o);
    const CacheSize size("64MiB");
    LogCatcher log;
    EXPECT_EQ(difference(Model(s, &gpu).run(6, 1), expected), 0);
    EXPECT_NE(log.text().find("cannot hold or compute experts of this type and shape"), std::string::npos);
    EXPECT_EQ(gpu.used(), 0u);
}
// A GPU that refuses from some moment on: that very batch is finished by the CPU, and all later ones.
TEST(Cache, AGpuThatFails) {
    for (const bool weighted : {true, false}) {
        for (const int64_t tokens : {1, 5}) {
            Shape s;
            s.weighted = weighted;
            const auto first = without_cache(s, 20, tokens), second = without_cache(s, 4, tokens, 3);
            reset();
            ModelGpu gpu;
            const CacheSize size("64MiB");
            LogCatcher log;
            Model m(s, &gpu);
            EXPECT_LT(difference(m.run(20, tokens), first), kFloat);
            EXPECT_GT(stats().resident, 12u);
            gpu.fail_graphs(true);
            EXPECT_LT(difference(m.run(4, tokens, 3), second), kFloat);
            EXPECT_EQ(stats().failures, 1u);
            EXPECT_EQ(text(), "off: a GPU failed");
            EXPECT_EQ(log.warnings(), 1);
            EXPECT_EQ(gpu.used(), 0u) << "its memory is given back";
            EXPECT_EQ(cache_bytes(), 0u);
            EXPECT_EQ(stats().resident, 0u);
            EXPECT_EQ(stats().slots, 0u);
        }
    }
}
// Some backends report a lost device by an exception, as Vulkan's does: while something is uploaded, by a thread of the
// plugin's own, or when a result is waited for.
TEST(Cache, AGpuThatIsLost) {
    for (const bool uploading : {true, false}) {
        for (const int64_t tokens : {1, 5}) {
            Shape s;
            // More than are used before the GPU is lost: misses have free slots, whatever an upload costs.
            s.experts = 32;
            const auto first = without_cache(s, 4, tokens), second = without_cache(s, 12, tokens, 3);
            reset();
            ModelGpu gpu;
            const CacheSize size("64MiB");
            LogCatcher log;
            Model m(s, &gpu);
            EXPECT_LT(difference(m.run(4, tokens), first), kFloat);
            EXPECT_GT(stats().resident, 0u);
            uploading ? gpu.throw_on_uploads() : gpu.throw_on_waits();
            EXPECT_LT(difference(m.run(12, tokens, 3), second), kFloat);
            EXPECT_EQ(stats().failures, 1u);
            EXPECT_EQ(text(), uploading ? "off: an upload failed" : "off: a GPU failed");
            EXPECT_NE(log.text().find("the modelled GPU was lost"), std::string::npos);
            EXPECT_NE(log.text().find("experts are no longer kept in VRAM"), std::string::npos);
            EXPECT_EQ(log.warnings(), 1);
            EXPECT_EQ(gpu.used(), 0u);
            EXPECT_EQ(gpu.backends(), 0);
            EXPECT_EQ(cache_bytes(), 0u);
            EXPECT_EQ(stats().resident, 0u);
        }
    }
}
TEST(Cache, AGpuThatIsLostBeforeItsCacheIsOpened) {
    const Shape s;
    const auto expected = without_cache(s, 8, 1);
    ModelGpuOptions o;
    o.memory = size_t(1) << 31;
    ModelGpu gpu(o);
    gpu.throw_on_waits();
    const CacheSize size("auto");  // tries the GPU first
    EXPECT_EQ(difference(Model(s, &gpu).run(8, 1), expected), 0);
    EXPECT_EQ(text(), "off: Model0 is slower at experts than the CPU");
    EXPECT_EQ(cache_bytes(), 0u);
    EXPECT_EQ(gpu.used(), 0u);
}
TEST(Cache, EveryByteIsCountedAndGivenBack) {
    const Shape s;
    EXPECT_EQ(cache_bytes(), 0u);
    ModelGpu gpu;
    {
        const CacheSize size("256KiB");
        Model m(s, &gpu);
        m.run(12, 1);
        EXPECT_EQ(cache_bytes(), gpu.used());
        EXPECT_EQ(stats().slots, 256u * 1024 / m.expert_bytes(0));
        const size_t weights = (stats().slots + 1) * m.expert_bytes(0);
        EXPECT_GE(cache_bytes(), weights);
        EXPECT_LT(cache_bytes(), weights + (64u << 10)) << "products need little";
        m.run(2, 33);
        EXPECT_EQ(cache_bytes(), gpu.used()) << "a batch needs more";
        EXPECT_GT(gpu.backends(), 0);
    }
    EXPECT_EQ(cache_bytes(), 0u);
    EXPECT_EQ(gpu.used(), 0u);
    EXPECT_EQ(gpu.backends(), 0);
    EXPECT_EQ(stats().resident, 0u);
}
TEST(Cache, WhatItDidIsLoggedAtTheEnd) {
    reset();
    ModelGpu gpu;
    const CacheSize size("64MiB");
    LogCatcher log;
    {
        const Shape s;
        Model m(s, &gpu);
        m.run(2, 1);
        m.layer(0, {1, 2}, 1);  // the cache opens: two misses, both uploaded
        m.cache().wait_for_uploads();
        m.layer(0, {1, 2}, 1);
        m.layer(0, {1, 3}, 1);  // one more, whose upload nobody waits for
    }
    EXPECT_NE(log.text().find("experts in VRAM: 3 of 6 look-ups were hits, 2 uploads (0.1 MiB)"), std::string::npos)
        << log.text();
    LogCatcher quiet;
    { const Model none(Shape{}); }
    EXPECT_EQ(quiet.text().find("look-ups"), std::string::npos) << "no cache, no line";
}
TEST(Cache, ResidentsAreToldByLayerAndExpert) {
    const Shape s;
    ModelGpu gpu;
    const CacheSize size("64MiB");
    Model m(s, &gpu);
    const auto residents = [] {
        const auto get = proc<ggml_moe_expert_stats_t>("ggml_moe_experts");
        std::vector<ggml_moe_expert_stat> all(get(nullptr, 0));
        get(all.data(), all.size());
        std::vector<std::pair<int, int>> r;
        for (const auto & e : all) {
            if (e.in_vram) r.emplace_back(e.layer, e.expert);
        }
        return r;
    };
    for (int i = 0; i < 4; ++i) {  // the cache opens, then the misses of the last two are uploaded
        m.layer(0, {1, 2}, 1);
        m.layer(1, {3, 4}, 1);
        m.cache().wait_for_uploads();
    }
    m.layer(2, {0, 1}, 1);  // a layer that was not there when the cache was opened
    using List = std::vector<std::pair<int, int>>;
    EXPECT_EQ(residents(), (List{{0, 1}, {0, 2}, {1, 3}, {1, 4}}));
    m.free_backend();
    EXPECT_EQ(residents(), List());
}
TEST(Cache, OnlyLayersOnAGpu) {
    const Shape s;
    const auto expected = without_cache(s, 12, 1);
    reset();
    ModelGpu gpu;
    const CacheSize size("64MiB");
    Model m(s, &gpu, 1);
    EXPECT_LT(difference(m.run(12, 1), expected), kFloat);
    EXPECT_EQ(stats().experts, 8u);
    Model none(s);
    none.run(4, 1);
    EXPECT_EQ(text(), "off: no GPU of this machine with memory of its own computes the layers around the experts");
}
TEST(Cache, EachGpuGetsTheExpertsOfItsLayers) {
    const Shape s;
    const auto expected = without_cache(s, 16, 3);
    reset();
    ModelGpu a, b;
    const CacheSize size("340KiB");
    Model m(s, &a);
    m.set_gpu(2, b);
    EXPECT_LT(difference(m.run(16, 3), expected), kFloat);
    EXPECT_GT(a.graphs(), 0u);
    EXPECT_GT(b.graphs(), 0u);
    EXPECT_EQ(cache_bytes(), a.used() + b.used());
    EXPECT_EQ(cache_bytes(&a), a.used());
    EXPECT_EQ(cache_bytes(&b), b.used());
    EXPECT_GT(a.used(), b.used()) << "two layers of three";
}
// A program may free the weights before the backend, while they are being uploaded.
TEST(Cache, WeightsThatGoBeforeTheBackend) {
    const Shape s;
    ModelGpuOptions o;
    o.link_bytes_per_s = 1e6;  // 37 ms an expert
    ModelGpu gpu(o);
    const CacheSize size("64MiB");
    Model m(s, &gpu);
    for (int i = 0; i < 4; ++i) {
        m.layer(0, {1, 2}, 1);
    }
    m.free_weights();
    m.cache().wait_for_uploads();
    m.free_backend();
    EXPECT_EQ(gpu.used(), 0u);
}
TEST(Cache, AWarmUpOfAllExpertsCountsForNothing) {
    Shape s;
    s.used = s.experts;
    ModelGpu gpu;
    const CacheSize size("64MiB");
    reset();
    Model m(s, &gpu);
    m.run(6, 1);
    EXPECT_EQ(stats().lookups, 0u);
    EXPECT_EQ(stats().resident, 0u);
}

// ---- auto ----

TEST(CacheAuto, TakesWhatIsFreeLessAMargin) {
    Shape s;
    s.embd = 512, s.ff = 2048, s.experts = 4;  // 6 MiB an expert: the CPU takes long enough to lose in any case
    ModelGpuOptions o;
    o.memory = (512u << 20) + 10u * 3 * 512 * 2048 * 2;
    o.launch_s = 1e-9, o.memory_bytes_per_s = 1e15;
    ModelGpu gpu(o);
    const CacheSize size("auto");
    Model m(s, &gpu);
    m.run(6, 1);
    EXPECT_EQ(stats().slots, 10u);
    Model more(s, &gpu);
    more.run(6, 1);
    EXPECT_EQ(text(), "off: no room for an expert in VRAM") << "the first has it";
}
TEST(CacheAuto, OffWhereTheGpuIsSlower) {
    const Shape s;
    const auto expected = without_cache(s, 8, 1);
    ModelGpuOptions o;
    o.memory = size_t(1) << 31;
    o.launch_s = 0.05, o.memory_bytes_per_s = 1e15;
    ModelGpu gpu(o);
    const CacheSize size("auto");
    EXPECT_EQ(difference(Model(s, &gpu).run(8, 1), expected), 0);
    EXPECT_EQ(text(), "off: Model0 is slower at experts than the CPU");
    EXPECT_EQ(gpu.used(), 0u);
}
TEST(CacheAuto, OffWhereNothingRunsInTheBackgroundOrMemoryIsShared) {
    const Shape s;
    ModelGpuOptions o;
    o.memory = size_t(1) << 31;
    o.async = false;
    ModelGpu sync(o);
    const CacheSize size("auto");
    Model(s, &sync).run(8, 1);
    EXPECT_EQ(text(), "off: Model0 computes nothing in the background");
    o.async = true;
    o.integrated = true;
    ModelGpu shared(o);
    Model(s, &shared).run(8, 1);
    EXPECT_EQ(text(), "off: no GPU of this machine with memory of its own computes the layers around the experts");
}
// llama.cpp's RPC backend claims operations that the GPU over there may lack.
TEST(CacheAuto, OffOnAnotherMachineAloneOrBesideAGpuHere) {
    Shape s;
    s.embd = 256, s.ff = 1024, s.experts = 4;  // large enough for the CPU to lose in any case
    ModelGpuOptions o;
    o.memory = size_t(1) << 31;
    o.launch_s = 1e-9, o.memory_bytes_per_s = 1e15;
    ModelGpu here(o);
    o.backend_name = "RPC";
    ModelGpu remote(o);
    const CacheSize size("auto");
    Model(s, &remote).run(6, 1);
    EXPECT_EQ(text(), "off: no GPU of this machine with memory of its own computes the layers around the experts");
    Model both(s, &remote);
    both.set_gpu(1, here);
    both.run(6, 1);
    EXPECT_EQ(text(), "4 of 4 experts in VRAM") << "those of one layer";
    EXPECT_EQ(remote.used(), 0u);
}
TEST(CacheAuto, SizesThatAreAskedForAreTakenEverywhere) {
    const Shape s;
    ModelGpuOptions o;
    o.async = false;
    o.integrated = true;
    o.pinned_memory = false;
    o.backend_name = "RPC";
    const auto expected = without_cache(s, 12, 2);
    reset();
    ModelGpu gpu(o);
    const CacheSize size("256KiB");
    EXPECT_LT(difference(Model(s, &gpu).run(12, 2), expected), kFloat);
    EXPECT_GT(stats().hits, 0u);
}

// ---- what the environment says ----

TEST(CacheSetting, Sizes) {
    using S = moe::CacheSetting;
    const auto parse = [](const char * text) -> std::optional<std::pair<S::Kind, size_t>> {
        S s;
        if (!moe::parse_cache_setting(text, s)) return std::nullopt;
        return std::make_pair(s.kind, s.bytes);
    };
    const auto is = [](S::Kind k, size_t n) { return std::make_optional(std::make_pair(k, n)); };
    EXPECT_EQ(parse("auto"), is(S::Auto, 0));
    EXPECT_EQ(parse("off"), is(S::Off, 0));
    EXPECT_EQ(parse("0"), is(S::Off, 0));
    EXPECT_EQ(parse("0GiB"), is(S::Off, 0));
    EXPECT_EQ(parse("1"), is(S::Size, 1));
    EXPECT_EQ(parse("4096B"), is(S::Size, 4096));
    EXPECT_EQ(parse("3K"), is(S::Size, 3072));
    EXPECT_EQ(parse("512M"), is(S::Size, size_t(512) << 20));
    EXPECT_EQ(parse("512MiB"), is(S::Size, size_t(512) << 20));
    EXPECT_EQ(parse("4GiB"), is(S::Size, size_t(4) << 30));
    EXPECT_EQ(parse("1.5G"), is(S::Size, size_t(3) << 29));
    EXPECT_EQ(parse("auto:3K"), is(S::Auto, 3072)) << "as auto decides, and no more than that";
    EXPECT_EQ(parse("auto:0"), is(S::Off, 0));
    for (const char * wrong : {"", "on", "Auto", "-1", "+1", " 1", "1 G", "1GB", "GiB", "1e99", "nan", "inf", "4GiBx",
                               "auto:", "auto:auto", "auto:off:", "auto:auto:1", "auto1"}) {
        EXPECT_EQ(parse(wrong), std::nullopt) << wrong;
    }
}
TEST(CacheSetting, NonsenseIsAutoWithAWarning) {
    LogCatcher log;
    const CacheSize nonsense("much");
    EXPECT_EQ(moe::cache_setting().kind, moe::CacheSetting::Auto);
    EXPECT_NE(log.text().find("GGML_MOE_CACHE=much"), std::string::npos);
}

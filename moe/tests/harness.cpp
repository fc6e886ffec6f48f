#include "harness.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <map>
#include <mutex>
#include <random>
#include <tuple>

namespace moe_test {

const std::vector<ggml_type> & weight_types() {
    static const std::vector<ggml_type> types = {
        GGML_TYPE_F32,   GGML_TYPE_F16,     GGML_TYPE_BF16,   GGML_TYPE_Q8_0,  GGML_TYPE_Q4_0,    GGML_TYPE_Q4_1,
        GGML_TYPE_Q5_0,  GGML_TYPE_Q5_1,    GGML_TYPE_Q2_K,   GGML_TYPE_Q3_K,  GGML_TYPE_Q4_K,    GGML_TYPE_Q5_K,
        GGML_TYPE_Q6_K,  GGML_TYPE_IQ4_NL,  GGML_TYPE_IQ4_XS, GGML_TYPE_MXFP4, GGML_TYPE_NVFP4,   GGML_TYPE_IQ1_S,
        GGML_TYPE_IQ1_M, GGML_TYPE_IQ2_XXS, GGML_TYPE_IQ2_XS, GGML_TYPE_IQ2_S, GGML_TYPE_IQ3_XXS, GGML_TYPE_IQ3_S,
        GGML_TYPE_TQ1_0, GGML_TYPE_TQ2_0,   GGML_TYPE_Q1_0,   GGML_TYPE_Q2_0};
    return types;
}

bool has_codebook(ggml_type type) {
    switch (type) {
        case GGML_TYPE_IQ1_S:
        case GGML_TYPE_IQ1_M:
        case GGML_TYPE_IQ2_XXS:
        case GGML_TYPE_IQ2_XS:
        case GGML_TYPE_IQ2_S:
        case GGML_TYPE_IQ3_XXS:
        case GGML_TYPE_IQ3_S:
            return true;
        default:
            return false;
    }
}

void set_scale(ggml_type type, uint8_t * block, float scale, float min_scale) {
    const auto half = [&](size_t at, float value) {
        const ggml_fp16_t h = ggml_fp32_to_fp16(value);
        std::memcpy(block + at, &h, sizeof h);
    };
    switch (type) {
        case GGML_TYPE_Q2_K:
            half(80, scale), half(82, min_scale);
            break;
        case GGML_TYPE_Q3_K:
            half(108, scale);
            break;
        case GGML_TYPE_Q6_K:
            half(208, scale);
            break;
        case GGML_TYPE_TQ1_0:
            half(52, scale);
            break;
        case GGML_TYPE_TQ2_0:
            half(64, scale);
            break;
        case GGML_TYPE_Q4_1:
        case GGML_TYPE_Q5_1:
        case GGML_TYPE_Q4_K:
        case GGML_TYPE_Q5_K:
            half(0, scale), half(2, min_scale);
            break;
        case GGML_TYPE_MXFP4:  // the nearest powers of two below
            block[0] = static_cast<uint8_t>(127 + std::ilogb(scale));
            break;
        case GGML_TYPE_NVFP4:
            for (int i = 0; i < 4; ++i) {
                block[i] = static_cast<uint8_t>(std::max(7 + std::ilogb(scale), 0) << 3);
            }
            break;
        case GGML_TYPE_IQ1_M:  // four bits in each upper half of every other byte
            for (int i = 0; i < 4; ++i) {
                uint8_t & byte = block[49 + 2 * i];
                byte = static_cast<uint8_t>((byte & 0x0f) | (ggml_fp32_to_fp16(scale) >> (4 * i) & 0x0f) << 4);
            }
            break;
        default:
            half(0, scale);
    }
}

int64_t columns(ggml_type type, int64_t want) {
    const int64_t block = ggml_blck_size(type);
    return (want + block - 1) / block * block;
}

// Every type is tested with the same numbers, and drawing them takes longer than the products.
std::vector<float> normals(size_t n, uint32_t seed, float scale) {
    static std::map<std::tuple<size_t, uint32_t, float>, std::vector<float>> done;
    static std::mutex mutex;
    std::lock_guard<std::mutex> lock(mutex);
    std::vector<float> & v = done[{n, seed, scale}];
    if (v.size() < n) {
        std::mt19937 gen(seed);
        std::normal_distribution<float> dist(0.0f, scale);
        v.resize(n);
        for (float & f : v) {
            f = dist(gen);
        }
    }
    return v;
}

// Blocks of any bits, their scale such that the mean square is that of the values.
static std::vector<uint8_t> any_blocks(ggml_type type, const std::vector<float> & values, uint32_t seed) {
    const size_t bytes = ggml_type_size(type), columns = static_cast<size_t>(ggml_blck_size(type));
    std::vector<uint8_t> out(values.size() / columns * bytes);
    std::mt19937 random(seed);
    for (uint8_t & byte : out) {
        byte = static_cast<uint8_t>(random() >> 24);
    }
    std::vector<float> block(columns);
    for (size_t i = 0; i < values.size() / columns; ++i) {
        uint8_t * data = &out[i * bytes];
        set_scale(type, data, 1.0f, 0.0f);
        ggml_get_type_traits(type)->to_float(data, block.data(), static_cast<int64_t>(columns));
        double wanted = 0, got = 0;
        for (size_t c = 0; c < columns; ++c) {
            wanted += double(values[i * columns + c]) * values[i * columns + c];
            got += double(block[c]) * block[c];
        }
        set_scale(type, data, static_cast<float>(std::sqrt(wanted / got)), 0.0f);
    }
    return out;
}

static std::vector<uint8_t> quantize_now(ggml_type type, const std::vector<float> & values, int64_t cols) {
    const int64_t rows = static_cast<int64_t>(values.size()) / cols;
    std::vector<uint8_t> out(ggml_row_size(type, cols) * static_cast<size_t>(rows));
    if (type == GGML_TYPE_F32) {
        std::memcpy(out.data(), values.data(), out.size());
    } else {
        ggml_quantize_chunk(type, values.data(), out.data(), 0, rows, cols, nullptr);
    }
    return out;
}

// Some types take long to quantize and the tests ask for the same weights again and again.
std::vector<uint8_t> quantize(ggml_type type, const std::vector<float> & values, int64_t cols) {
    static std::map<std::tuple<ggml_type, int64_t, size_t, uint64_t>, std::vector<uint8_t>> done;
    static std::mutex mutex;
    std::lock_guard<std::mutex> lock(mutex);
    uint64_t hash = 1469598103934665603u;
    for (float f : values) {
        uint32_t bits;
        std::memcpy(&bits, &f, sizeof bits);
        hash = (hash ^ bits) * 1099511628211u;
    }
    auto & entry = done[{type, cols, values.size(), hash}];
    if (entry.empty()) {
        entry = has_codebook(type) ? any_blocks(type, values, static_cast<uint32_t>(hash))
                                   : quantize_now(type, values, cols);
    }
    return entry;
}

std::vector<double> dequantize(ggml_type type, const std::vector<uint8_t> & data, int64_t n) {
    std::vector<float> f(static_cast<size_t>(n));
    if (type == GGML_TYPE_F32) {
        std::memcpy(f.data(), data.data(), f.size() * sizeof(float));
    } else {
        ggml_get_type_traits(type)->to_float(data.data(), f.data(), n);
    }
    return std::vector<double>(f.begin(), f.end());
}

double nmse(const std::vector<float> & a, const std::vector<double> & b, double least_energy) {
    double err = 0, ref = 0;
    for (size_t i = 0; i < b.size(); ++i) {
        if (i >= a.size() || !std::isfinite(a[i])) return std::numeric_limits<double>::infinity();
        err += (a[i] - b[i]) * (a[i] - b[i]);
        ref += b[i] * b[i];
    }
    ref = std::max(ref, least_energy);
    return ref > 0 ? err / ref : err;
}

double product_energy(const std::vector<double> & w, const std::vector<float> & x, int64_t k) {
    double w2 = 0, x2 = 0;
    for (const double v : w) {
        w2 += v * v;
    }
    for (const double v : x) {
        x2 += v * v;
    }
    return w2 * x2 / static_cast<double>(k);
}

double int8_bound(const std::vector<float> & x, int64_t cols, int64_t block) {
    double step2 = 0, x2 = 0;
    for (size_t row = 0; row < x.size(); row += static_cast<size_t>(cols)) {
        for (int64_t k = 0; k < cols; k += block) {
            double amax = 0;
            for (int64_t i = k; i < k + block && i < cols; ++i) {
                const double v = x[row + static_cast<size_t>(i)];
                amax = std::max(amax, std::fabs(v));
                x2 += v * v;
            }
            const double d = amax / 127.0;
            step2 += d * d / 12.0 * static_cast<double>(std::min(block, cols - k));
        }
    }
    return 2.0 * step2 / x2;
}

// Of rounding to 8 bits of mantissa: the step is 2^-7 of the power of two below.
static double bf16_bound(const std::vector<float> & x) {
    double step2 = 0, x2 = 0;
    for (const float v : x) {
        const double step = v != 0 ? std::ldexp(1.0, std::ilogb(v) - 7) : 0.0;
        step2 += step * step / 12.0;
        x2 += double(v) * v;
    }
    return 2.0 * step2 / x2;
}

double bound_for(ggml_type type, const std::vector<float> & x, int64_t cols) {
    const bool rounds = std::strcmp(proc<ggml_moe_isa_t>("ggml_moe_isa")(), "avx512bf16") == 0;
    if (type == GGML_TYPE_BF16 && rounds) return bf16_bound(x) + 1e-10;
    if (!ggml_is_quantized(type)) return 1e-10;
    return int8_bound(x, cols, ggml_blck_size(type) == 256 ? 256 : 32) + 1e-10;
}

static ggml_context * new_context() {
    return ggml_init({16u << 20, nullptr, true});
}

Graph::Graph(bool on_plugin, int threads) : weights_(new_context()), ctx_(new_context()), graph_(ggml_new_graph(ctx_)) {
    [[maybe_unused]] static const bool loaded = (ggml_backend_load_all(), true);
    backend_ = on_plugin ? ggml_backend_dev_init(ggml_backend_reg_dev_get(plugin(), 0), nullptr)
                         : ggml_backend_init_by_type(GGML_BACKEND_DEVICE_TYPE_CPU, nullptr);
    ggml_backend_reg_t reg = ggml_backend_dev_backend_reg(ggml_backend_get_device(backend_));
    auto set = reinterpret_cast<ggml_backend_set_n_threads_t>(
        ggml_backend_reg_get_proc_address(reg, "ggml_backend_set_n_threads"));
    set(backend_, threads > 0 ? threads : 2);
}

Graph::~Graph() {
    for (ggml_backend_buffer_t b : buffers_) {
        ggml_backend_buffer_free(b);
    }
    ggml_gallocr_free(allocator_);
    ggml_backend_free(backend_);
    ggml_free(ctx_);
    ggml_free(weights_);
}

ggml_tensor * Graph::add(ggml_context * c, ggml_type type, const std::vector<int64_t> & ne, const void * data,
                         size_t bytes) {
    ggml_tensor * t = ggml_new_tensor(c, type, static_cast<int>(ne.size()), ne.data());
    EXPECT_EQ(ggml_nbytes(t), bytes);
    const auto * p = static_cast<const uint8_t *>(data);
    values_.push_back({t, std::vector<uint8_t>(p, p + bytes)});
    return t;
}

ggml_tensor * Graph::weight(ggml_type type, std::vector<int64_t> ne, const std::vector<uint8_t> & data,
                            const char * name) {
    ggml_tensor * t = add(weights_, type, ne, data.data(), data.size());
    ggml_set_name(t, name);
    return t;
}
ggml_tensor * Graph::input(std::vector<int64_t> ne, const std::vector<float> & data) {
    return add(ctx_, GGML_TYPE_F32, ne, data.data(), data.size() * sizeof(float));
}
ggml_tensor * Graph::ids(std::vector<int64_t> ne, const std::vector<int32_t> & data) {
    return add(ctx_, GGML_TYPE_I32, ne, data.data(), data.size() * sizeof(int32_t));
}

std::vector<float> Graph::compute(ggml_tensor * out, int repeats, ggml_status expected) {
    // a canary directly behind the output: the context's tensors are laid out in order of creation
    ggml_tensor * canary = ggml_new_tensor_1d(ctx_, GGML_TYPE_F32, 64);
    expand(out);
    if (ggml_get_first_tensor(weights_)) {
        buffers_.push_back(ggml_backend_alloc_ctx_tensors(weights_, backend_));
        ggml_backend_buffer_set_usage(buffers_.back(), GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
    }
    if (reuse_memory_) {
        allocator_ = ggml_gallocr_new(ggml_backend_get_default_buffer_type(backend_));
        for (const Value & v : values_) {
            ggml_set_input(v.t);
        }
        EXPECT_TRUE(ggml_gallocr_alloc_graph(allocator_, graph_));
    } else {
        buffers_.push_back(ggml_backend_alloc_ctx_tensors(ctx_, backend_));
        ggml_backend_buffer_clear(buffers_.back(), 0xff);
    }
    for (const Value & v : values_) {
        if (v.t->buffer != nullptr) ggml_backend_tensor_set(v.t, v.data.data(), 0, v.data.size());
    }
    const std::vector<float> magic(64, 12345.0f);
    if (canary->buffer != nullptr) ggml_backend_tensor_set(canary, magic.data(), 0, 64 * sizeof(float));
    for (int i = 0; i < repeats; ++i) {
        EXPECT_EQ(ggml_backend_graph_compute(backend_, graph_), expected);
    }
    canary_ok_ = canary->buffer == nullptr || read(canary) == magic;
    return read(out);
}

std::vector<float> Graph::read(const ggml_tensor * t) const {
    std::vector<float> r(static_cast<size_t>(ggml_nelements(t)));
    if (ggml_is_contiguous(t)) {
        ggml_backend_tensor_get(t, r.data(), 0, r.size() * sizeof(float));
        return r;
    }
    size_t i = 0;
    for (int64_t i3 = 0; i3 < t->ne[3]; ++i3) {
        for (int64_t i2 = 0; i2 < t->ne[2]; ++i2) {
            for (int64_t i1 = 0; i1 < t->ne[1]; ++i1, i += static_cast<size_t>(t->ne[0])) {
                const auto at = static_cast<size_t>(i1) * t->nb[1] + static_cast<size_t>(i2) * t->nb[2] +
                                static_cast<size_t>(i3) * t->nb[3];
                ggml_backend_tensor_get(t, &r[i], at, static_cast<size_t>(t->ne[0]) * sizeof(float));
            }
        }
    }
    return r;
}

Pair run_both(const std::function<ggml_tensor *(Graph &)> & build) {
    Graph a(true), b(false);
    Pair p;
    p.moe = a.compute(build(a));
    p.canary = a.canary_ok();
    p.cpu = b.compute(build(b));
    return p;
}

}  // namespace moe_test

// Row-wise kernels: activation quantization, gated activations, scaled addition. What the compiler vectorizes for the
// instruction set of the file that includes them is plain loops. Include after gemm-inl.h.
#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "kernels.h"

namespace moe {
namespace MOE_ISA {

// The largest magnitude of n numbers, n a multiple of L; no NaN.
inline float amax_of(const float * x, int n) {
    F m = Vec::zerof();
    for (int i = 0; i < n; i += L) { m = Vec::maxf(Vec::abs(Vec::loadf(x + i)), m); }
    return Vec::hmax(m);
}

// q[i] = x[i] * inv rounded to nearest, ties to even, |x[i] * inv| <= 127; n is a multiple of L
inline void round_s8(const float * x, float inv, int n, int8_t * q) {
    for (int i = 0; i < n; i += L) { Vec::store_s8(q + i, Vec::round(Vec::mul(Vec::loadf(x + i), Vec::setf(inv)))); }
}

// out(g, the sum of the g-th `group` numbers of q), a whole number, for all groups of n; `group` is a multiple of L.
template <class Out> MOE_INLINE void group_sums(const int8_t * q, int n, int group, Out out) {
    const auto lanes = [&](int g) MOE_INLINED {
        F s = Vec::zerof();
        for (int i = 0; i < group; i += L) { s = Vec::add(s, Vec::cvt(Vec::load_s8(q + g * group + i))); }
        return s;
    };
    int g = 0;
    for (; (g + 4) * group <= n; g += 4) {
        float s[4];
        Vec::hsum4(lanes(g), lanes(g + 1), lanes(g + 2), lanes(g + 3), s);
        for (int i = 0; i < 4; ++i) { out(g + i, s[i]); }
    }
    for (; g * group < n; ++g) { out(g, Vec::hsum(lanes(g))); }
}

// x[l.k] -> q, d, init, sum as ActLayout describes them. l.k is a multiple of the weight type's block.
inline void quantize_int8(const ActFormat & f, const ActLayout & l, const float * x, uint8_t * row) {
    int8_t *  q    = reinterpret_cast<int8_t *>(row);
    float *   d    = reinterpret_cast<float *>(row + l.off_d);
    int32_t * init = reinterpret_cast<int32_t *>(row + l.off_init);
    float *   sum  = reinterpret_cast<float *>(row + l.off_sum);
    for (int k = 0; k < l.k; k += f.scale) {
        const float amax = amax_of(x + k, f.scale);
        const float inv  = amax > 0.0f ? 127.0f / amax : 0.0f;
        d[k / f.scale]   = amax / 127.0f;
        round_s8(x + k, inv < 3.0e38f ? inv : 0.0f, f.scale, q + k);
    }
    if (f.offset != 0) {
        group_sums(q, l.k, f.group, [&](int g, float s) { init[g] = -int32_t(f.offset) * static_cast<int32_t>(s); });
    }
    if (f.min_step != 0) {
        group_sums(q, l.k, f.min_step, [&](int g, float s) { sum[g] = f.scale == 256 ? s : s * d[g * f.min_step / f.scale]; });
    }
}

inline void copy_f32(const ActFormat &, const ActLayout & l, const float * x, uint8_t * row) {
    memcpy(row, x, size_t(l.k) * sizeof(float));
    memset(row + size_t(l.k) * sizeof(float), 0, size_t(l.bytes) - size_t(l.k) * sizeof(float));
}

// To the nearest number, ties to even; a NaN stays one.
inline void round_bf16(const ActFormat &, const ActLayout & l, const float * x, uint8_t * row) {
    uint16_t * out = reinterpret_cast<uint16_t *>(row);
    for (int i = 0; i < l.k; ++i) {
        uint32_t b;
        memcpy(&b, x + i, 4);
        const bool nan = (b & 0x7fffffff) > 0x7f800000;
        out[i] = static_cast<uint16_t>(nan ? b >> 16 | 0x40 : (b + 0x7fff + (b >> 16 & 1)) >> 16);
    }
    memset(out + l.k, 0, size_t(l.bytes) - size_t(l.k) * sizeof *out);
}

// e^x to 1 ulp or so in [-87, 88], clamped outside
inline float exp_f32(float x) {
    x = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x;
    const float t = x * 1.44269504f + 12582912.0f;
    const float n = t - 12582912.0f;
    const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    int32_t e;
    memcpy(&e, &t, 4);
    const int32_t bits = (e - 0x4b400000 + 127) << 23;
    float s;
    memcpy(&s, &bits, 4);
    return p * s;
}
inline float sigmoid_f32(float x) { return 1.0f / (1.0f + exp_f32(-x)); }

// b tanh(x/b): x itself if it is small, and within the bound b always
inline float bounded_f32(float x, float b) {
    const float z = x / b, z2 = z * z;
    const float near = z * (1.0f - z2 * (0.333333333f - z2 * 0.133333333f));  // Taylor's series: the difference below cancels
    const float far = 2.0f * sigmoid_f32(2.0f * z) - 1.0f;
    return b * (z2 < 0.01f ? near : far);
}

template <class Fn> inline void glu_loop(int n, const float * g, const float * u, float * o, Fn fn) {
    for (int i = 0; i < n; ++i) { o[i] = fn(g[i], u[i]); }
}

inline void glu_f32(const GluParams & p, int n, const float * g, const float * u, float * o) {
    const float alpha = p.alpha, limit = p.limit;
    switch (p.op) {
        case Glu::ReGLU:
            glu_loop(n, g, u, o, [](float x, float y) { return x > 0.0f ? x * y : 0.0f; });
            break;
        case Glu::GeGLU:  // 0.5x(1 + tanh(z)) = x * sigmoid(2z)
            glu_loop(n, g, u, o, [](float x, float y) {
                return x * sigmoid_f32(2.0f * 0.79788456080286535588f * x * (1.0f + 0.044715f * x * x)) * y;
            });
            break;
        case Glu::SwiGLU:
            glu_loop(n, g, u, o, [](float x, float y) { return x * sigmoid_f32(x) * y; });
            break;
        case Glu::SwiGLU_OAI:
            glu_loop(n, g, u, o, [=](float x, float y) {
                x = x < limit ? x : limit;
                y = y < -limit ? -limit : y > limit ? limit : y;
                return x * sigmoid_f32(alpha * x) * (y + 1.0f);
            });
            break;
        case Glu::GeGLU_Erf:
            glu_loop(n, g, u, o, [](float x, float y) { return 0.5f * x * (1.0f + erff(x * 0.70710678118654752440f)) * y; });
            break;
        case Glu::GeGLU_Quick:
            glu_loop(n, g, u, o, [](float x, float y) { return x * sigmoid_f32(1.702f * x) * y; });
            break;
        case Glu::SwiGLU_Clamp:
            glu_loop(n, g, u, o, [=](float x, float y) {
                x = x < limit ? x : limit;
                y = y < -limit ? -limit : y > limit ? limit : y;
                return x * sigmoid_f32(x) * y;
            });
            break;
        case Glu::SiTU:
            if (limit > 0.0f) {
                glu_loop(n, g, u, o, [=](float x, float y) {
                    return bounded_f32(x, alpha) * sigmoid_f32(x) * bounded_f32(y, limit);
                });
            } else {
                glu_loop(n, g, u, o, [=](float x, float y) { return bounded_f32(x, alpha) * sigmoid_f32(x) * y; });
            }
            break;
    }
}

inline void axpy_f32(int n, float w, const float * x, float * y) {
    for (int i = 0; i < n; ++i) { y[i] += w * x[i]; }
}

}  // namespace MOE_ISA
}  // namespace moe

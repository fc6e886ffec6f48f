// AVX-512 as AVX2: SIMDe's functions under the names of the instructions, and the few that its version 0.7.4 lacks.
#pragma once

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
#include <simde/x86/f16c.h>
#include <simde/x86/fma.h>
#include <stdint.h>

#include <algorithm>
#include <cmath>

#define MOE_STEPS_OUT_OF_LINE

namespace emulated {

// Lane by lane: `each(lane)` of `from` is the lane of the result.
template <class Each> simde__m512i ints(Each each) {
    simde__m512i_private to;
    for (int i = 0; i < 16; ++i) { to.i32[i] = each(i); }
    return simde__m512i_from_private(to);
}

inline simde__m512i cvtepu16_epi32(simde__m256i a) {
    const simde__m256i_private x = simde__m256i_to_private(a);
    return ints([&](int i) { return x.u16[i]; });
}

inline simde__m512i srai_epi32(simde__m512i a, unsigned n) {
    const simde__m512i_private x = simde__m512i_to_private(a);
    return ints([&](int i) { return x.i32[i] >> n; });
}

inline simde__m256i cvtepi32_epi16(simde__m512i a) {
    const simde__m512i_private x = simde__m512i_to_private(a);
    simde__m256i_private       to;
    for (int i = 0; i < 16; ++i) { to.i16[i] = static_cast<int16_t>(x.i32[i]); }
    return simde__m256i_from_private(to);
}

inline simde__m512 cvtepi32_ps(simde__m512i a) {
    const simde__m512i_private x = simde__m512i_to_private(a);
    simde__m512_private        to;
    for (int i = 0; i < 16; ++i) { to.f32[i] = static_cast<float>(x.i32[i]); }
    return simde__m512_from_private(to);
}

inline simde__m512i cvtps_epi32(simde__m512 a) {
    const simde__m512_private x = simde__m512_to_private(a);
    return ints([&](int i) { return static_cast<int32_t>(std::lrint(x.f32[i])); });
}

inline simde__m512i cvtepi8_epi32(simde__m128i a) {
    const simde__m128i_private x = simde__m128i_to_private(a);
    return ints([&](int i) { return x.i8[i]; });
}

inline simde__m128i cvtepi32_epi8(simde__m512i a) {
    const simde__m512i_private x = simde__m512i_to_private(a);
    simde__m128i_private       to;
    for (int i = 0; i < 16; ++i) { to.i8[i] = static_cast<int8_t>(x.i32[i]); }
    return simde__m128i_from_private(to);
}

inline simde__m512 cvtph_ps(simde__m256i a) {
    simde__m512_private to;
    to.m256[0] = simde_mm256_cvtph_ps(simde_mm256_extracti128_si256(a, 0));
    to.m256[1] = simde_mm256_cvtph_ps(simde_mm256_extracti128_si256(a, 1));
    return simde__m512_from_private(to);
}

inline simde__m256 extractf32x8_ps(simde__m512 a, int half) { return simde__m512_to_private(a).m256[half]; }

inline float reduce_add_ps(simde__m512 a) {
    const simde__m512_private x   = simde__m512_to_private(a);
    float                     sum = 0;
    for (int i = 0; i < 16; ++i) { sum += x.f32[i]; }
    return sum;
}

inline float reduce_max_ps(simde__m512 a) {
    const simde__m512_private x    = simde__m512_to_private(a);
    float                     most = x.f32[0];
    for (int i = 1; i < 16; ++i) { most = std::max(most, x.f32[i]); }
    return most;
}

inline simde__mmask64 cmpneq_epu8_mask(simde__m512i a, simde__m512i b) {
    const simde__m512i_private x = simde__m512i_to_private(a), y = simde__m512i_to_private(b);
    uint64_t                   mask = 0;
    for (int i = 0; i < 64; ++i) { mask |= uint64_t(x.u8[i] != y.u8[i]) << i; }
    return mask;
}

// Bit i of each byte: whether an odd number of its bits are set in byte 7 - i of the matrix.
inline simde__m512i gf2p8affine_epi64_epi8(simde__m512i a, simde__m512i matrix, int) {
    const simde__m512i_private x = simde__m512i_to_private(a), m = simde__m512i_to_private(matrix);
    simde__m512i_private       to;
    for (int n = 0; n < 64; ++n) {
        unsigned byte = 0;
        for (int i = 0; i < 8; ++i) { byte |= static_cast<unsigned>(__builtin_parity(x.u8[n] & m.u8[n / 8 * 8 + 7 - i])) << i; }
        to.u8[n] = static_cast<uint8_t>(byte);
    }
    return simde__m512i_from_private(to);
}

}  // namespace emulated

#define _mm512_cvtepu16_epi32 emulated::cvtepu16_epi32
#define _mm512_srai_epi32 emulated::srai_epi32
#define _mm512_cvtepi32_epi16 emulated::cvtepi32_epi16
#define _mm512_cvtepi32_ps emulated::cvtepi32_ps
#define _mm512_cvtps_epi32 emulated::cvtps_epi32
#define _mm512_cvtepi8_epi32 emulated::cvtepi8_epi32
#define _mm512_cvtepi32_epi8 emulated::cvtepi32_epi8
#define _mm512_cvtph_ps emulated::cvtph_ps
#define _mm512_extractf32x8_ps emulated::extractf32x8_ps
#define _mm512_reduce_add_ps emulated::reduce_add_ps
#define _mm512_reduce_max_ps emulated::reduce_max_ps
#define _mm512_cmpneq_epu8_mask emulated::cmpneq_epu8_mask
#undef _mm512_gf2p8affine_epi64_epi8
#define _mm512_gf2p8affine_epi64_epi8 emulated::gf2p8affine_epi64_epi8

#undef _mm512_set4_epi32  // a macro of four arguments, which splits a template's
#define _mm512_set4_epi32(...) simde_mm512_set4_epi32(__VA_ARGS__)

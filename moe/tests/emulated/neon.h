// NEON on x86-64: SIMDe's functions under the names of the instructions, and the few that its version 0.7.4 lacks.
#pragma once

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/arm/neon.h>
#include <stdint.h>

#include <cmath>

#define MOE_STEPS_OUT_OF_LINE

namespace emulated {

// to + the products of each half of a with each of b: a0 b0, a0 b1, a1 b0, a1 b1.
inline simde_int32x4_t mmla(simde_int32x4_t to, simde_int8x16_t a, simde_int8x16_t b) {
    simde_int32x4_private sums = simde_int32x4_to_private(to);
    const simde_int8x16_private x = simde_int8x16_to_private(a), y = simde_int8x16_to_private(b);
    for (int i = 0; i < 32; ++i) {
        sums.values[i / 8] += int32_t(x.values[i / 16 * 8 + i % 8]) * int32_t(y.values[i / 8 % 2 * 8 + i % 8]);
    }
    return simde_int32x4_from_private(sums);
}

inline simde_int32x4_t cvtn(simde_float32x4_t a) {
    const simde_float32x4_private x = simde_float32x4_to_private(a);
    simde_int32x4_private         to;
    for (int i = 0; i < 4; ++i) { to.values[i] = static_cast<int32_t>(std::lrint(x.values[i])); }
    return simde_int32x4_from_private(to);
}

inline simde_float32x4_t fms(simde_float32x4_t to, simde_float32x4_t a, simde_float32x4_t b) { return simde_vfmaq_f32(to, simde_vnegq_f32(a), b); }

}  // namespace emulated

#undef vcvtnq_s32_f32  // newer versions have them
#undef vfmsq_f32
#undef vmmlaq_s32
#define vcvtnq_s32_f32 emulated::cvtn
#define vfmsq_f32 emulated::fms
#define vmmlaq_s32 emulated::mmla

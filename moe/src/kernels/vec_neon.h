// Vector primitives for 64-bit Arm: NEON with the dot products of Armv8.2 (FEAT_DotProd).
#pragma once

#if defined(__aarch64__)
#include <arm_neon.h>
#endif
#include <stdint.h>
#include <string.h>

namespace moe {
namespace MOE_ISA {

struct Vec {
    static constexpr int  L     = 4;     // rows held by one vector (32-bit lanes)
    static constexpr int  R     = 2;     // vectors per pass
    static constexpr int  PASSES = 4;   // over a tile's rows: activations come from L1 in all but the first
    static constexpr int  NT    = 5;     // activation rows per pass: 2 x 5 sums, as many partial ones, 5 vectors and 2 of weights: 27 registers of 32
    static constexpr bool DOT  = true;  // dot: four products a lane, summed in 32 bits
    static constexpr int  DOT_STEPS = 4;  // products of one vector of activations: each takes a lane of it
    static constexpr bool UNSIGNED = false;  // weights may be signed bytes
    static constexpr bool SCALED16 = false;  // scaled_add takes 32 bits
#if defined(__aarch64__)
    static constexpr bool IN_REGISTERS = true;  // a register holds a vector
#else
    static constexpr bool IN_REGISTERS = false;  // these instructions are emulated
#endif
    static constexpr bool VBMI = false;  // bytes are looked up in tables of 16
    static constexpr int  AHEAD_STREAMS = 1;  // of prefetches, see Ahead: not measured
    static constexpr int  DOT_TOKENS = 5;  // 4 x 5 sums, 5 activation vectors and one of weights: 26 registers
    static constexpr int  GEMM_ROWS = 6, GEMM_VECS = 4;  // 6 x 4 sums, 4 vectors of one factor, a number of the other: 29

    using I = int32x4_t;
    using F = float32x4_t;

    static I load(const void * p) { return s32(vld1q_u8(static_cast<const uint8_t *>(p))); }
    static void store(void * p, I a) { vst1q_u8(static_cast<uint8_t *>(p), u8(a)); }
    static I zero() { return vdupq_n_s32(0); }
    static I set32(uint32_t x) { return vreinterpretq_s32_u32(vdupq_n_u32(x)); }
    static I set8(uint8_t x) { return s32(vdupq_n_u8(x)); }
    static I bcast32(const void * p) { return set32(static_cast<const Int *>(p)->v); }
    static I and_(I a, I b) { return vandq_s32(a, b); }
    static I or_(I a, I b) { return vorrq_s32(a, b); }
    static I xor_(I a, I b) { return veorq_s32(a, b); }
    static I sub(I a, I b) { return vsubq_s32(a, b); }
    static I add8(I a, I b) { return s32(vaddq_u8(u8(a), u8(b))); }
    static I add(I a, I b) { return vaddq_s32(a, b); }
    static I max(I a, I b) { return vmaxq_s32(a, b); }  // signed
    template <int N> static I srl(I a) { return vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_s32(a), N)); }
    template <int N> static I srl8(I a) { return s32(vshrq_n_u8(u8(a), N)); }  // each byte
    template <int N> static I sll(I a) { return vshlq_n_s32(a, N); }
    template <int N> static I sra(I a) { return vshrq_n_s32(a, N); }

    // byte N of each lane less Bias, as scaled and scaled_add take it: a number of the whole lane
    template <int N, int Bias> static I factor(I v) {
        const I byte = N == 3 ? srl<24>(v) : and_(N == 0 ? v : srl<N == 0 ? 8 : 8 * N>(v), set32(0xff));
        return Bias == 0 ? byte : vsubq_s32(byte, set32(Bias));
    }
    static I to_factor(I v) { return v; }
    // bytes times a factor, which stay bytes
    static I scaled(I v, I s) { return vmulq_s32(v, s); }

    // v | (bits 4J..4J+3 of h, one per byte, at bit Bit): another bit of columns 4J..4J+3
    template <int J, int Bit = 4> static I or_bit4(I v, I h) {
        alignas(16) static constexpr int8_t TO_BIT[16] = {TO<J, Bit>(0), TO<J, Bit>(1), TO<J, Bit>(2), TO<J, Bit>(3),
                                                          TO<J, Bit>(0), TO<J, Bit>(1), TO<J, Bit>(2), TO<J, Bit>(3),
                                                          TO<J, Bit>(0), TO<J, Bit>(1), TO<J, Bit>(2), TO<J, Bit>(3),
                                                          TO<J, Bit>(0), TO<J, Bit>(1), TO<J, Bit>(2), TO<J, Bit>(3)};
        const uint8x16_t bits = vshlq_u8(u8(all_bytes<J / 2>(h)), vld1q_s8(TO_BIT));
        return s32(vbslq_u8(vdupq_n_u8(1 << Bit), bits, u8(v)));
    }

    // byte N of each lane, in all of its bytes
    template <int N> static I all_bytes(I v) {
        alignas(16) static constexpr uint8_t INDEX[16] = {N, N, N, N, N + 4, N + 4, N + 4, N + 4, N + 8, N + 8, N + 8, N + 8, N + 12, N + 12, N + 12, N + 12};
        return s32(vqtbl1q_u8(u8(v), vld1q_u8(INDEX)));
    }
    // the bytes that are not x
    static I unless8(I v, uint8_t x) { return s32(vbicq_u8(u8(v), vceqq_u8(u8(v), vdupq_n_u8(x)))); }
    // 3 * byte / 256: half of one and a half, of which 64 are left out
    static I ternary_digit(I v) { return s32(vshrq_n_u8(vhaddq_u8(u8(v), vshrq_n_u8(u8(v), 1)), 6)); }

    // each byte of idx (0..15) selects a byte of the table
    static I lookup16(const int8_t * table, I idx) { return vreinterpretq_s32_s8(vqtbl1q_s8(vld1q_s8(table), u8(idx))); }

    // Indices in memory, and what a table has at those of type Index that start at byte At of each lane.
    struct Spilled { alignas(16) uint8_t bytes[16]; };
    static void spill(Spilled & s, I v) {
        store(s.bytes, v);
        __asm__("" : "+m"(s));  // or the compiler takes them from the register again, one by one
    }
    template <class Index, int At> static I gather(const uint32_t * table, const Spilled & s) {
        const uint32_t * p[4];
        for (int i = 0; i < 4; ++i) {
            Index at;
            memcpy(&at, s.bytes + 4 * i + At, sizeof at);
            p[i] = table + at;
        }
        uint32x4_t v = vdupq_n_u32(*p[0]);
        v = vld1q_lane_u32(p[1], v, 1);
        v = vld1q_lane_u32(p[2], v, 2);
        return vreinterpretq_s32_u32(vld1q_lane_u32(p[3], v, 3));
    }

    // the first halves of a and b; and the second
    static I low_halves(I a, I b) { return vreinterpretq_s32_s64(vzip1q_s64(vreinterpretq_s64_s32(a), vreinterpretq_s64_s32(b))); }
    static I high_halves(I a, I b) { return vreinterpretq_s32_s64(vzip2q_s64(vreinterpretq_s64_s32(a), vreinterpretq_s64_s32(b))); }

    // L rows of memory, one stride apart
    struct Rows {
        const uint8_t * q[4];
        Rows(const uint8_t * p, size_t stride) : q{p, p + stride, p + 2 * stride, p + 3 * stride} {}
    };

    // out[j], lane r = dword j of the 16 bytes at offset o of row r
    static void rows16(const Rows & p, int o, I out[4]) {
        const I t0 = load(p.q[0] + o), t1 = load(p.q[1] + o), t2 = load(p.q[2] + o), t3 = load(p.q[3] + o);
        const I a = vtrn1q_s32(t0, t1), b = vtrn2q_s32(t0, t1);  // dwords 0 and 2, and 1 and 3
        const I c = vtrn1q_s32(t2, t3), d = vtrn2q_s32(t2, t3);
        out[0] = low_halves(a, c);
        out[1] = low_halves(b, d);
        out[2] = high_halves(a, c);
        out[3] = high_halves(b, d);
    }
    static F rows_half(const Rows & p, int o) {  // the number at offset o of each row
        uint16x4_t h = vdup_n_u16(half(p.q[0] + o));
        h = vset_lane_u16(half(p.q[1] + o), h, 1);
        h = vset_lane_u16(half(p.q[2] + o), h, 2);
        return from_half(vset_lane_u16(half(p.q[3] + o), h, 3));
    }
    static F half_lo(I a) { return from_half(vmovn_u32(vreinterpretq_u32_s32(a))); }  // low 16 bits of each lane
    static F cast(I a) { return vreinterpretq_f32_s32(a); }
    static I as_int(F a) { return vreinterpretq_s32_f32(a); }
    static F cvt(I a) { return vcvtq_f32_s32(a); }
    static I round(F a) { return vcvtnq_s32_f32(a); }  // to nearest, ties to even
    static I load_s8(const int8_t * p) {
        const int8x8_t bytes = vreinterpret_s8_u32(vdup_n_u32(reinterpret_cast<const Int *>(p)->v));
        return vmovl_s16(vget_low_s16(vmovl_s8(bytes)));
    }
    static void store_s8(int8_t * p, I a) {  // the low byte of each lane
        const int16x4_t half = vmovn_s32(a);
        const int8x8_t bytes = vmovn_s16(vcombine_s16(half, half));
        reinterpret_cast<Int *>(p)->v = vget_lane_u32(vreinterpret_u32_s8(bytes), 0);
    }

    static F load_half(const void * p) { return from_half(vreinterpret_u16_u8(vld1_u8(static_cast<const uint8_t *>(p)))); }
    static F load_bf16(const void * p) {
        const uint16x4_t h = vreinterpret_u16_u8(vld1_u8(static_cast<const uint8_t *>(p)));
        return vreinterpretq_f32_u32(vshll_n_u16(h, 16));
    }
    static float hsum(F a) { return vaddvq_f32(a); }
    static float hmax(F a) { return vmaxvq_f32(a); }
    static F loadf(const float * p) { return vld1q_f32(p); }
    static void storef(float * p, F a) { vst1q_f32(p, a); }
    static F zerof() { return vdupq_n_f32(0.0f); }
    static F setf(float x) { return vdupq_n_f32(x); }
    static F bcastf(const float * p) { return vdupq_n_f32(*p); }
    static F mul(F a, F b) { return vmulq_f32(a, b); }
    static F add(F a, F b) { return vaddq_f32(a, b); }
    static F maxf(F a, F b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }  // b where one is no number
    static F abs(F a) { return vabsq_f32(a); }
    static F fma(F a, F b, F c) { return vfmaq_f32(c, a, b); }
    static F fnma(F a, F b, F c) { return vfmsq_f32(c, a, b); }

    // out[i] = sum of the lanes of vector i
    static void hsum4(F a, F b, F c, F d, float * out) { storef(out, vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d))); }

    static I acts(const void * p) { return load(p); }
    // acc + w times lane `step` of x: a constant, wherever this is inlined
    static I dot(I acc, I w, I x, int step) {
        switch (step) {
            case 0: return vdotq_laneq_s32(acc, s8(w), s8(x), 0);
            case 1: return vdotq_laneq_s32(acc, s8(w), s8(x), 1);
            case 2: return vdotq_laneq_s32(acc, s8(w), s8(x), 2);
            default: return vdotq_laneq_s32(acc, s8(w), s8(x), 3);
        }
    }
    // acc + p * s, s of factor
    static I scaled_add(I acc, I p, I s) { return vmlaq_s32(acc, p, s); }

#if defined(MOE_I8MM)
    // dwords of a and b in turn: of their first halves, and of their second
    static I zip_lo(I a, I b) { return vzip1q_s32(a, b); }
    static I zip_hi(I a, I b) { return vzip2q_s32(a, b); }
    // even dwords of a, then of b; and odd ones
    static I evens(I a, I b) { return vuzp1q_s32(a, b); }
    static I odds(I a, I b) { return vuzp2q_s32(a, b); }
    // acc + the products of the two halves of w (eight columns of a row each) with those of x: w0 x0, w0 x1, w1 x0, w1 x1
    static I pairs_dot(I acc, I w, I x) { return vmmlaq_s32(acc, s8(w), s8(x)); }
#endif

    // v in a register, computed here
    template <class V> static void keep([[maybe_unused]] V & v) {
#if defined(__aarch64__)
        __asm__("" : "+w"(v));
#endif
    }
    // Into L2. As assembly: GCC 12 takes a function that only prefetches for one without effect and drops its calls.
    static void prefetch([[maybe_unused]] const void * p) {
#if defined(__aarch64__)
        __asm__ volatile("prfm pldl2keep, %0" : : "m"(*static_cast<const Long *>(p)));
#endif
    }

private:
    struct __attribute__((packed, may_alias)) Int { uint32_t v; };
    struct __attribute__((packed, may_alias)) Short { uint16_t v; };
    struct __attribute__((may_alias)) Long { uint64_t v; };  // of which an instruction's offset is a multiple
    template <int J, int Bit> static constexpr int8_t TO(int column) { return static_cast<int8_t>(Bit - (J % 2 * 4 + column)); }
    static uint16_t half(const uint8_t * p) { return reinterpret_cast<const Short *>(p)->v; }
    static F from_half(uint16x4_t h) { return vcvt_f32_f16(vreinterpret_f16_u16(h)); }
    static int8x16_t s8(I a) { return vreinterpretq_s8_s32(a); }
    static uint8x16_t u8(I a) { return vreinterpretq_u8_s32(a); }
    static I s32(uint8x16_t a) { return vreinterpretq_s32_u8(a); }
};

}  // namespace MOE_ISA
}  // namespace moe

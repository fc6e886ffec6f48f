// Vector primitives in the vectors of the compiler itself (GCC's and Clang's vector_size), for any processor: the reference
// every other instruction set is tested against.
#pragma once

#include <stdint.h>
#include <string.h>

#define MOE_STEPS_OUT_OF_LINE

namespace moe {
namespace MOE_ISA {

struct Vec {
    static constexpr int  L       = 8;      // rows held by one vector (32-bit lanes)
    static constexpr int  R       = 1;      // vectors per tile
    static constexpr int  NT      = 4;      // activation rows per pass
    static constexpr int  PASSES = 1;      // over a tile's rows
    static constexpr bool DOT    = true;   // dot: four products a lane, summed in 32 bits
    static constexpr int  DOT_STEPS = 1;    // products of one vector of activations
    static constexpr bool UNSIGNED = true; // weights must be unsigned, of the whole range of a byte
    static constexpr bool SCALED16 = true; // scaled_add takes sums of 16 bits, as most instruction sets' does
    static constexpr bool IN_REGISTERS = false;  // vectors lie in memory
    static constexpr bool VBMI   = false;  // bytes are looked up in tables of 16
    static constexpr int  AHEAD_STREAMS = 1;
    static constexpr int  DOT_TOKENS = 3;
    static constexpr int  GEMM_ROWS = 4, GEMM_VECS = 1;

    typedef uint32_t Lanes __attribute__((vector_size(4 * L)));
    typedef int32_t  Signed __attribute__((vector_size(4 * L)));
    typedef float    Floats __attribute__((vector_size(4 * L)));
    struct I { Lanes v; };
    struct F { Floats v; };

    template <class Fn> static I mapi(Fn fn) { I r; for (int i = 0; i < L; ++i) { r.v[i] = fn(i); } return r; }
    template <class Fn> static F mapf(Fn fn) { F r; for (int i = 0; i < L; ++i) { r.v[i] = fn(i); } return r; }

    static I load(const void * p) { I r; memcpy(&r, p, sizeof r); return r; }
    static void store(void * p, I a) { memcpy(p, &a, sizeof a); }
    static I zero() { return set32(0); }
    static I set32(uint32_t x) { return {Lanes{x, x, x, x, x, x, x, x}}; }
    static I set8(uint8_t x) { return set32(x * 0x01010101u); }
    static I bcast32(const void * p) { uint32_t x; memcpy(&x, p, 4); return set32(x); }
    static I and_(I a, I b) { return {a.v & b.v}; }
    static I or_(I a, I b) { return {a.v | b.v}; }
    static I xor_(I a, I b) { return {a.v ^ b.v}; }
    static I sub(I a, I b) { return {a.v - b.v}; }
    static I add(I a, I b) { return {a.v + b.v}; }
    static I add8(I a, I b) {
        return {((a.v & 0x7f7f7f7fu) + (b.v & 0x7f7f7f7fu)) ^ ((a.v ^ b.v) & 0x80808080u)};
    }
    static I max(I a, I b) { return {Signed(a.v) > Signed(b.v) ? a.v : b.v}; }
    template <int N> static I srl(I a) { return {a.v >> N}; }
    template <int N> static I srl8(I a) { return and_(srl<N>(a), set8(0xff >> N)); }  // each byte
    template <int N> static I sll(I a) { return {a.v << N}; }
    template <int N> static I sra(I a) { return {Lanes(Signed(a.v) >> N)}; }

    // byte N of each lane less Bias, as scaled and scaled_add take it
    template <int N, int Bias> static I factor(I v) { return {((v.v >> (8 * N)) & 255u) - uint32_t(Bias)}; }
    // bytes times a factor, which stay bytes
    static I scaled(I v, I s) { return {v.v * s.v}; }

    // v | (bits 4J..4J+3 of h, one per byte, at bit Bit): another bit of columns 4J..4J+3
    template <int J, int Bit = 4> static I or_bit4(I v, I h) {
        const Lanes b = (h.v >> (4 * J)) & 15u;
        return {v.v | (((b * 0x00204081u) & 0x01010101u) << Bit)};  // the multiplication copies bit n to bit 8n
    }
    // byte N of each lane, in all of its bytes
    template <int N> static I all_bytes(I v) { return {((v.v >> (8 * N)) & 255u) * 0x01010101u}; }
    // the bytes that are not x
    static I unless8(I v, uint8_t x) {
        uint8_t bytes[4 * L];
        store(bytes, v);
        for (uint8_t & b : bytes) { b = b == x ? 0 : b; }
        return load(bytes);
    }
    // 3 * byte / 256
    static I ternary_digit(I v) {
        uint8_t bytes[4 * L];
        store(bytes, v);
        for (uint8_t & b : bytes) { b = uint8_t(b * 3 / 256); }
        return load(bytes);
    }

    // each byte of idx (0..15) selects a byte of the table; a loop that stays one, or there is far more code than a cache holds
    static I lookup16(const int8_t * table, I idx) {
        uint8_t bytes[4 * L];
        store(bytes, idx);
#pragma GCC unroll 1
        for (uint8_t & b : bytes) { b = uint8_t(table[b & 15]); }
        return load(bytes);
    }

    // Indices in memory, and what a table has at those of type Index that start at byte At of each lane.
    using Spilled = I;
    static void spill(Spilled & s, I v) { s = v; }
    template <class Index, int At> static I gather(const uint32_t * table, const Spilled & s) {
        I r;
#pragma GCC unroll 1
        for (int i = 0; i < L; ++i) { r.v[i] = table[Index(s.v[i] >> (8 * At))]; }
        return r;
    }

    // L rows of memory, one stride apart
    struct Rows {
        const uint8_t * p;
        size_t s;
        Rows(const uint8_t * first, size_t stride) : p(first), s(stride) {}
    };

    // out[j], lane r = dword j of the 16 bytes at offset o of row r
    static void rows16(const Rows & p, int o, I out[4]) {
        for (int j = 0; j < 4; ++j) {
            out[j] = mapi([&](int r) { uint32_t x; memcpy(&x, p.p + size_t(r) * p.s + o + 4 * j, 4); return x; });
        }
    }
    static float half(uint32_t h) {
        const uint32_t sign = (h & 0x8000u) << 16, em = h & 0x7fffu;
        uint32_t bits;
        float f;
        if (em >= 0x7c00u) {
            bits = sign | 0x7f800000u | (em << 13);
        } else if (em >= 0x0400u) {
            bits = sign | ((em << 13) + 0x38000000u);
        } else {  // subnormal: an integer times 2^-24
            const float m = float(em) * 5.9604644775390625e-8f;
            memcpy(&bits, &m, 4);
            bits |= sign;
        }
        memcpy(&f, &bits, 4);
        return f;
    }
    static F rows_half(const Rows & p, int o) {  // the number at offset o of each row
        return mapf([&](int r) { uint16_t h; memcpy(&h, p.p + size_t(r) * p.s + o, 2); return half(h); });
    }
    static F half_lo(I a) { return mapf([&](int i) { return half(a.v[i] & 0xffffu); }); }  // low 16 bits of each lane
    static F cast(I a) { F r; memcpy(&r, &a, sizeof r); return r; }
    static I as_int(F a) { I r; memcpy(&r, &a, sizeof r); return r; }
    static F cvt(I a) { return {__builtin_convertvector(Signed(a.v), Floats)}; }
    static I round(F a) {  // to nearest, ties to even, up to 2^22: the sum has the whole number in its low bits
        return {Lanes(a.v + 12582912.0f) - 0x4b400000u};
    }
    static I load_s8(const int8_t * p) { return mapi([&](int i) { return uint32_t(int32_t(p[i])); }); }
    static void store_s8(int8_t * p, I a) { for (int i = 0; i < L; ++i) { p[i] = static_cast<int8_t>(a.v[i] & 0xffu); } }

    static F load_half(const void * p) {
        uint16_t h[L];
        memcpy(h, p, sizeof h);
        return mapf([&](int i) { return half(h[i]); });
    }
    static F load_bf16(const void * p) {
        uint16_t h[L];
        memcpy(h, p, sizeof h);
        return cast(mapi([&](int i) { return uint32_t(h[i]) << 16; }));
    }
    static float hsum(F a) {
        float s = 0.0f;
        for (int i = 0; i < L; ++i) { s += a.v[i]; }
        return s;
    }
    static float hmax(F a) {
        float m = a.v[0];
        for (int i = 1; i < L; ++i) { m = a.v[i] > m ? a.v[i] : m; }
        return m;
    }
    static F loadf(const float * p) { F r; memcpy(&r, p, sizeof r); return r; }
    static void storef(float * p, F a) { memcpy(p, &a, sizeof a); }
    static F zerof() { return setf(0.0f); }
    static F setf(float x) { return {Floats{x, x, x, x, x, x, x, x}}; }
    static F bcastf(const float * p) { return setf(*p); }
    static F mul(F a, F b) { return {a.v * b.v}; }
    static F add(F a, F b) { return {a.v + b.v}; }
    static F maxf(F a, F b) { return {a.v > b.v ? a.v : b.v}; }
    static F abs(F a) { return cast({Lanes(a.v) & 0x7fffffffu}); }
    static F fma(F a, F b, F c) { return {a.v * b.v + c.v}; }
    static F fnma(F a, F b, F c) { return {c.v - a.v * b.v}; }

    // out[i] = sum of the lanes of vector i
    static void hsum4(F a, F b, F c, F d, float * out) {
        out[0] = hsum(a);
        out[1] = hsum(b);
        out[2] = hsum(c);
        out[3] = hsum(d);
    }

    static I acts(const void * p) { return bcast32(p); }
    static I dot(I acc, I w, I x, int) {
        for (int b = 0; b < 4; ++b) {
            acc.v += ((w.v >> (8 * b)) & 255u) * Lanes(Signed(x.v << (24 - 8 * b)) >> 24);
        }
        return acc;
    }
    // acc + p * s; s: of factor
    static I scaled_add(I acc, I p, I s) {
        return {acc.v + p.v * s.v};
    }
    template <class V> static void keep(V &) {}
    static void prefetch(const void *) {}
};

}  // namespace MOE_ISA
}  // namespace moe

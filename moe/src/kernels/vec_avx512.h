// Vector primitives for AVX-512 (F, BW, DQ, VL, VNNI).
#pragma once

#include <immintrin.h>
#include <stdint.h>

namespace moe {
namespace MOE_ISA {

struct Vec {
    static constexpr int  L     = 16;    // rows held by one vector (32-bit lanes)
    static constexpr int  R     = 2;     // vectors per tile: 2 x 6 accumulators and as many partial sums fill 32 registers
    static constexpr int  NT    = 6;     // activation rows per pass
    static constexpr bool kVnni = true;  // full-range u8 x s8 dot product
#if defined(__AVX512F__)
    static constexpr bool kInRegisters = true;  // a register holds a vector
#else
    static constexpr bool kInRegisters = false;  // these instructions are emulated
#endif
    static constexpr int  kAheadStreams = 4;  // of prefetches, see Ahead: measured on an Intel Xeon
    static constexpr int  kDotTokens = 6;  // 4 x 6 sums, 6 activation vectors and one of weights: 31 registers
    static constexpr int  kGemmRows = 12, kGemmVecs = 2;  // 12 x 2 sums, 2 vectors of one factor, a number of the other: 27

    using I = __m512i;
    using F = __m512;

    static I load(const void * p) { return _mm512_loadu_si512(p); }
    static void store(void * p, I a) { _mm512_storeu_si512(p, a); }
    static I zero() { return _mm512_setzero_si512(); }
    static I set32(uint32_t x) { return _mm512_set1_epi32(static_cast<int>(x)); }
    static I set8(uint8_t x) { return _mm512_set1_epi8(static_cast<char>(x)); }
    static I bcast32(const void * p) { return _mm512_set1_epi32(static_cast<const Int *>(p)->v); }
    static I and_(I a, I b) { return _mm512_and_si512(a, b); }
    static I or_(I a, I b) { return _mm512_or_si512(a, b); }
    static I xor_(I a, I b) { return _mm512_xor_si512(a, b); }
    static I mul16(I a, I b) { return _mm512_mullo_epi16(a, b); }
    static I sub(I a, I b) { return _mm512_sub_epi32(a, b); }
    static I sub8(I a, I b) { return _mm512_sub_epi8(a, b); }
    static I sub16(I a, I b) { return _mm512_sub_epi16(a, b); }
    static I add(I a, I b) { return _mm512_add_epi32(a, b); }
    static I max(I a, I b) { return _mm512_max_epi32(a, b); }  // signed
    template <int N> static I srl(I a) { return _mm512_srli_epi32(a, N); }
    template <int N> static I sll(I a) { return _mm512_slli_epi32(a, N); }
    template <int N> static I sra(I a) { return _mm512_srai_epi32(a, N); }

    // byte N of each lane, as a 16-bit number in both halves of the lane
    template <int N> static I twice_byte(I v) {
        constexpr int o = static_cast<int>(0x80008000u) | N * 0x00010001;
        return _mm512_shuffle_epi8(v, _mm512_set4_epi32(o + 0x000c000c, o + 0x00080008, o + 0x00040004, o));
    }

    // v | (bits 4J..4J+3 of h, one per byte, at bit 4): the fifth bit of columns 4J..4J+3
    template <int J> static I or_bit4(I v, I h) {
        const I byte = _mm512_shuffle_epi8(h, _mm512_set4_epi32(kB<J, 3>, kB<J, 2>, kB<J, 1>, kB<J, 0>));
        const __mmask64 set = _mm512_test_epi8_mask(byte, _mm512_set1_epi32(J % 2 ? static_cast<int>(0x80402010u) : 0x08040201));
        return _mm512_mask_add_epi8(v, set, v, _mm512_set1_epi8(0x10));
    }

    static I lookup16(const int8_t * table, I idx) {
        const I t = _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i *>(table)));
        return _mm512_shuffle_epi8(t, idx);
    }

    // L rows of memory, one stride apart. Four base pointers and x86's scaled index reach all sixteen; left alone, the
    // compiler keeps sixteen pointers on the stack and reloads them.
    struct Rows {
        const uint8_t * q[4];
        size_t s, s3;
        Rows(const uint8_t * p, size_t stride) : q{p, p + 4 * stride, p + 8 * stride, p + 12 * stride}, s(stride), s3(3 * stride) {
            __asm__("" : "+r"(q[0]), "+r"(q[1]), "+r"(q[2]), "+r"(q[3]), "+r"(s), "+r"(s3));
        }
    };

    // out[j], lane r = dword j of the 16 bytes at offset o of row r: a 4x4 transpose in each 128-bit lane
    static void rows16(const Rows & p, int o, I out[4]) {
        const size_t step[4] = {0, p.s, 2 * p.s, p.s3};
        I t[4];
        for (int i = 0; i < 4; ++i) {
            I v = _mm512_castsi128_si512(load128(p.q[0] + step[i] + o));
            v = _mm512_inserti32x4(v, load128(p.q[1] + step[i] + o), 1);
            v = _mm512_inserti32x4(v, load128(p.q[2] + step[i] + o), 2);
            t[i] = _mm512_inserti32x4(v, load128(p.q[3] + step[i] + o), 3);
        }
        const I a = _mm512_unpacklo_epi32(t[0], t[1]), b = _mm512_unpackhi_epi32(t[0], t[1]);
        const I c = _mm512_unpacklo_epi32(t[2], t[3]), d = _mm512_unpackhi_epi32(t[2], t[3]);
        out[0] = _mm512_unpacklo_epi64(a, c);
        out[1] = _mm512_unpackhi_epi64(a, c);
        out[2] = _mm512_unpacklo_epi64(b, d);
        out[3] = _mm512_unpackhi_epi64(b, d);
    }
    static F rows_half(const Rows & p, int o) {  // the number at offset o of each row
        __m128i a = _mm_setzero_si128(), b = _mm_setzero_si128();
        a = ins16<0>(a, p.q[0] + o);           b = ins16<0>(b, p.q[2] + o);
        a = ins16<1>(a, p.q[0] + p.s + o);     b = ins16<1>(b, p.q[2] + p.s + o);
        a = ins16<2>(a, p.q[0] + 2 * p.s + o); b = ins16<2>(b, p.q[2] + 2 * p.s + o);
        a = ins16<3>(a, p.q[0] + p.s3 + o);    b = ins16<3>(b, p.q[2] + p.s3 + o);
        a = ins16<4>(a, p.q[1] + o);           b = ins16<4>(b, p.q[3] + o);
        a = ins16<5>(a, p.q[1] + p.s + o);     b = ins16<5>(b, p.q[3] + p.s + o);
        a = ins16<6>(a, p.q[1] + 2 * p.s + o); b = ins16<6>(b, p.q[3] + 2 * p.s + o);
        a = ins16<7>(a, p.q[1] + p.s3 + o);    b = ins16<7>(b, p.q[3] + p.s3 + o);
        return _mm512_cvtph_ps(_mm256_inserti128_si256(_mm256_castsi128_si256(a), b, 1));
    }
    static F half_lo(I a) { return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(a)); }  // low 16 bits of each lane
    static F cast(I a) { return _mm512_castsi512_ps(a); }
    static I as_int(F a) { return _mm512_castps_si512(a); }
    static F cvt(I a) { return _mm512_cvtepi32_ps(a); }
    static I round(F a) { return _mm512_cvtps_epi32(a); }  // to nearest, ties to even
    static I load_s8(const int8_t * p) { return _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i *>(p))); }
    static void store_s8(int8_t * p, I a) {  // the low byte of each lane
        _mm_storeu_si128(reinterpret_cast<__m128i *>(p), _mm512_cvtepi32_epi8(a));
    }

    static F load_half(const void * p) { return _mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i *>(p))); }
    static F load_bf16(const void * p) {
        return cast(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(static_cast<const __m256i *>(p))), 16));
    }
    static float hsum(F a) { return _mm512_reduce_add_ps(a); }
    static float hmax(F a) { return _mm512_reduce_max_ps(a); }
    static F loadf(const float * p) { return _mm512_loadu_ps(p); }
    static void storef(float * p, F a) { _mm512_storeu_ps(p, a); }
    static F zerof() { return _mm512_setzero_ps(); }
    static F setf(float x) { return _mm512_set1_ps(x); }
    static F bcastf(const float * p) { return _mm512_set1_ps(*p); }
    static F mul(F a, F b) { return _mm512_mul_ps(a, b); }
    static F add(F a, F b) { return _mm512_add_ps(a, b); }
    static F maxf(F a, F b) { return _mm512_max_ps(a, b); }  // b where one is no number
    static F abs(F a) { return _mm512_abs_ps(a); }
    static F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
    static F fnma(F a, F b, F c) { return _mm512_fnmadd_ps(a, b, c); }

    // out[i] = sum of the lanes of vector i
    static void hsum4(F a, F b, F c, F d, float * out) {
        const F ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));  // of 4 lanes: a, b, a, b
        const F cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
        const F s  = _mm512_add_ps(_mm512_shuffle_ps(ab, cd, 0x44), _mm512_shuffle_ps(ab, cd, 0xee));  // a, b, c, d
        const __m256 h = _mm256_add_ps(_mm512_castps512_ps256(s), _mm512_extractf32x8_ps(s, 1));
        _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1)));
    }

    static I dot(I acc, I w, I x) { return _mm512_dpbusd_epi32(acc, w, x); }
    // acc + p * s, s of twice_byte, p in 16 bits: one product of pairs, whose second factor's upper half is zero
    static I scaled_add(I acc, I p, I s) { return _mm512_dpwssd_epi32(acc, p, and_(s, set32(0xffff))); }
    // Into L2. As assembly: GCC 12 takes a function that only prefetches for one without effect and drops its calls.
    static void prefetch(const void * p) { __asm__ volatile("prefetcht1 %0" : : "m"(*static_cast<const char *>(p))); }

private:
    template <int J, int Lane> static constexpr int kB = (4 * Lane + J / 2) * 0x01010101;  // byte J/2 of the lane, four times
    struct __attribute__((packed, may_alias)) Int { int v; };
    struct __attribute__((packed, may_alias)) Short { short v; };
    static __m128i load128(const uint8_t * p) { return _mm_loadu_si128(reinterpret_cast<const __m128i *>(p)); }
    template <int N> static __m128i ins16(__m128i a, const uint8_t * p) {
        return _mm_insert_epi16(a, reinterpret_cast<const Short *>(p)->v, N);
    }
};

}  // namespace MOE_ISA
}  // namespace moe

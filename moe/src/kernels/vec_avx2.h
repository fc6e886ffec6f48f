// Vector primitives for AVX2 with FMA and F16C; with MOE_AVX_VNNI for AVX-VNNI as well.
#pragma once

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

namespace moe {
namespace MOE_ISA {

struct Vec {
    static constexpr int  L     = 8;      // rows held by one vector (32-bit lanes)
    static constexpr int  R     = 2;      // vectors per tile
#if defined(MOE_AVX_VNNI)
    static constexpr int  NT    = 4;      // activation rows per pass: 2 x 4 sums, and no partial ones, in 16 registers
    static constexpr bool DOT  = true;   // dot: four products a lane, summed in 32 bits
    static constexpr int  AHEAD_STREAMS = 4;  // of prefetches, see Ahead: measured on an Intel Xeon
#else
    static constexpr int  NT    = 3;      // activation rows per pass: 2 x 3 sums, and as many of 16 bits, in 16 registers
    static constexpr bool DOT  = false;  // sums of pairs in 16 bits, which saturate: see mul_u8s8
    static constexpr int  AHEAD_STREAMS = 1;  // on an AMD EPYC of the third generation
#endif
    static constexpr int  PASSES = 1;    // over a tile's rows
    static constexpr int  DOT_STEPS = 1;  // products of one vector of activations
    static constexpr bool UNSIGNED = DOT;  // weights must be unsigned, of the whole range of a byte
    static constexpr bool SCALED16 = true;  // scaled_add takes sums of 16 bits
    static constexpr bool IN_REGISTERS = true;  // a register holds a vector
    static constexpr bool VBMI = false;  // bytes are looked up in tables of 16
    static constexpr int  DOT_TOKENS = 3;  // 4 x 3 sums, 3 activation vectors and one of weights: 16 registers
    static constexpr int  GEMM_ROWS = 6, GEMM_VECS = 2;  // 6 x 2 sums, 2 vectors of one factor, a number of the other: 15

    using I = __m256i;
    using F = __m256;

    static I load(const void * p) { return _mm256_loadu_si256(static_cast<const __m256i *>(p)); }
    static void store(void * p, I a) { _mm256_storeu_si256(static_cast<__m256i *>(p), a); }
    static I zero() { return _mm256_setzero_si256(); }
    static I set32(uint32_t x) { return _mm256_set1_epi32(static_cast<int>(x)); }
    static I set8(uint8_t x) { return _mm256_set1_epi8(static_cast<char>(x)); }
    static I bcast32(const void * p) { return _mm256_set1_epi32(static_cast<const Int *>(p)->v); }
    static I and_(I a, I b) { return _mm256_and_si256(a, b); }
    static I or_(I a, I b) { return _mm256_or_si256(a, b); }
    static I xor_(I a, I b) { return _mm256_xor_si256(a, b); }
    static I sub(I a, I b) { return _mm256_sub_epi32(a, b); }
    static I add8(I a, I b) { return _mm256_add_epi8(a, b); }
    static I add(I a, I b) { return _mm256_add_epi32(a, b); }
    static I max(I a, I b) { return _mm256_max_epi32(a, b); }  // signed
    template <int N> static I srl(I a) { return _mm256_srli_epi32(a, N); }
    template <int N> static I srl8(I a) { return and_(srl<N>(a), set8(0xff >> N)); }  // each byte
    template <int N> static I sll(I a) { return _mm256_slli_epi32(a, N); }
    template <int N> static I sra(I a) { return _mm256_srai_epi32(a, N); }

    // byte N of each lane less Bias, as scaled and scaled_add take it: a 16-bit number in both halves of the lane
    template <int N, int Bias> static I factor(I v) {
        constexpr int o = static_cast<int>(0x80008000u) | N * 0x00010001;
        const __m128i index = _mm_set_epi32(o + 0x000c000c, o + 0x00080008, o + 0x00040004, o);
        const I byte = _mm256_shuffle_epi8(v, _mm256_broadcastsi128_si256(index));
        return Bias == 0 ? byte : _mm256_sub_epi16(byte, set32(Bias * 0x00010001));
    }
    // bytes times a factor, which stay bytes
    static I scaled(I v, I s) { return _mm256_mullo_epi16(v, s); }

    // v | (bits 4J..4J+3 of h, one per byte, at bit Bit): another bit of columns 4J..4J+3
    template <int J, int Bit = 4> static I or_bit4(I v, I h) {
        const I byte = _mm256_shuffle_epi8(h, _mm256_set_epi32(NTH_BYTE<J, 3>, NTH_BYTE<J, 2>, NTH_BYTE<J, 1>, NTH_BYTE<J, 0>, NTH_BYTE<J, 3>, NTH_BYTE<J, 2>, NTH_BYTE<J, 1>, NTH_BYTE<J, 0>));
        const I bit  = _mm256_set1_epi32(J % 2 ? static_cast<int>(0x80402010u) : 0x08040201);
        return _mm256_or_si256(v, _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(byte, bit), bit), _mm256_set1_epi8(1 << Bit)));
    }

    // byte N of each lane, in all of its bytes
    template <int N> static I all_bytes(I v) {
        constexpr int o = N * 0x01010101;
        return _mm256_shuffle_epi8(v, _mm256_broadcastsi128_si256(_mm_set_epi32(o + 0x0c0c0c0c, o + 0x08080808, o + 0x04040404, o)));
    }
    // the bytes that are not x
    static I unless8(I v, uint8_t x) { return _mm256_andnot_si256(_mm256_cmpeq_epi8(v, set8(x)), v); }
    // 3 * byte / 256
    static I ternary_digit(I v) {
        const auto from = [&](uint8_t least) { return _mm256_cmpeq_epi8(_mm256_max_epu8(v, set8(least)), v); };  // 0 or -1
        return _mm256_abs_epi8(_mm256_add_epi8(from(86), from(171)));
    }

    static I lookup16(const int8_t * table, I idx) {
        const I t = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i *>(table)));
        return _mm256_shuffle_epi8(t, idx);
    }

    // Indices in memory, and what a table has at those of type Index that start at byte At of each lane. One by one: VPGATHERDD
    // is no faster on the processors that were tried, and several times slower on Intel's since they are protected from
    // leaking what it reads.
    struct Spilled { alignas(32) uint8_t bytes[32]; };
    static void spill(Spilled & s, I v) {
        store(s.bytes, v);
        __asm__("" : "+m"(s));  // or the compiler takes them from the register again, which is slower
    }
    template <class Index, int At> static I gather(const uint32_t * table, const Spilled & s) {
        __m128i q[2];
#pragma GCC unroll 2
        for (int i = 0; i < 2; ++i) {
            q[i] = _mm_cvtsi32_si128(at<Index, At>(table, s, 4 * i));
            q[i] = _mm_insert_epi32(q[i], (at<Index, At>(table, s, 4 * i + 1)), 1);
            q[i] = _mm_insert_epi32(q[i], (at<Index, At>(table, s, 4 * i + 2)), 2);
            q[i] = _mm_insert_epi32(q[i], (at<Index, At>(table, s, 4 * i + 3)), 3);
        }
        return _mm256_inserti128_si256(_mm256_castsi128_si256(q[0]), q[1], 1);
    }

    // L rows of memory, one stride apart
    struct Rows {
        const uint8_t * q[2];
        size_t s, s3;
        Rows(const uint8_t * p, size_t stride) : q{p, p + 4 * stride}, s(stride), s3(3 * stride) {}
    };

    // out[j], lane r = dword j of the 16 bytes at offset o of row r: a 4x4 transpose in each 128-bit lane
    static void rows16(const Rows & p, int o, I out[4]) {
        const size_t step[4] = {0, p.s, 2 * p.s, p.s3};
        I t[4];
        for (int i = 0; i < 4; ++i) {
            t[i] = _mm256_inserti128_si256(_mm256_castsi128_si256(load128(p.q[0] + step[i] + o)), load128(p.q[1] + step[i] + o), 1);
        }
        const I a = _mm256_unpacklo_epi32(t[0], t[1]), b = _mm256_unpackhi_epi32(t[0], t[1]);
        const I c = _mm256_unpacklo_epi32(t[2], t[3]), d = _mm256_unpackhi_epi32(t[2], t[3]);
        out[0] = _mm256_unpacklo_epi64(a, c);
        out[1] = _mm256_unpackhi_epi64(a, c);
        out[2] = _mm256_unpacklo_epi64(b, d);
        out[3] = _mm256_unpackhi_epi64(b, d);
    }
    static F rows_half(const Rows & p, int o) {  // the number at offset o of each row
        __m128i a = _mm_setzero_si128();
        a = ins16<0>(a, p.q[0] + o);           a = ins16<1>(a, p.q[0] + p.s + o);
        a = ins16<2>(a, p.q[0] + 2 * p.s + o); a = ins16<3>(a, p.q[0] + p.s3 + o);
        a = ins16<4>(a, p.q[1] + o);           a = ins16<5>(a, p.q[1] + p.s + o);
        a = ins16<6>(a, p.q[1] + 2 * p.s + o); a = ins16<7>(a, p.q[1] + p.s3 + o);
        return _mm256_cvtph_ps(a);
    }
    static F half_lo(I a) {  // low 16 bits of each lane
        const I m = _mm256_and_si256(a, _mm256_set1_epi32(0xffff));
        const I p = _mm256_permute4x64_epi64(_mm256_packus_epi32(m, m), 0x08);
        return _mm256_cvtph_ps(_mm256_castsi256_si128(p));
    }
    static F cast(I a) { return _mm256_castsi256_ps(a); }
    static I as_int(F a) { return _mm256_castps_si256(a); }
    static F cvt(I a) { return _mm256_cvtepi32_ps(a); }
    static I round(F a) { return _mm256_cvtps_epi32(a); }  // to nearest, ties to even
    static I load_s8(const int8_t * p) { return _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(p))); }
    static void store_s8(int8_t * p, I a) {  // the low byte of each lane
        const I v = _mm256_shuffle_epi8(a, _mm256_set1_epi32(0x0c080400));
        const __m128i bytes = _mm_unpacklo_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
        _mm_storel_epi64(reinterpret_cast<__m128i *>(p), bytes);
    }

    static F load_half(const void * p) { return _mm256_cvtph_ps(_mm_loadu_si128(static_cast<const __m128i *>(p))); }
    static F load_bf16(const void * p) {
        return cast(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(static_cast<const __m128i *>(p))), 16));
    }
    static float hsum(F a) {
        __m128 s = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
        s = _mm_add_ps(s, _mm_movehl_ps(s, s));
        return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
    }
    static float hmax(F a) {
        __m128 m = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
        m = _mm_max_ps(m, _mm_movehl_ps(m, m));
        return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
    }
    static F loadf(const float * p) { return _mm256_loadu_ps(p); }
    static void storef(float * p, F a) { _mm256_storeu_ps(p, a); }
    static F zerof() { return _mm256_setzero_ps(); }
    static F setf(float x) { return _mm256_set1_ps(x); }
    static F bcastf(const float * p) { return _mm256_broadcast_ss(p); }
    static F mul(F a, F b) { return _mm256_mul_ps(a, b); }
    static F add(F a, F b) { return _mm256_add_ps(a, b); }
    static F maxf(F a, F b) { return _mm256_max_ps(a, b); }  // b where one is no number
    static F abs(F a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
    static F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
    static F fnma(F a, F b, F c) { return _mm256_fnmadd_ps(a, b, c); }

    // out[i] = sum of the lanes of vector i
    static void hsum4(F a, F b, F c, F d, float * out) {
        const F s = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
        _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1)));
    }

#if defined(MOE_AVX_VNNI)
    static I acts(const void * p) { return bcast32(p); }
    static I dot(I acc, I w, I x, int) { return _mm256_dpbusd_avx_epi32(acc, w, x); }
    // acc + p * s, s of factor, p in 16 bits: one product of pairs, whose second factor's upper half is zero
    static I scaled_add(I acc, I p, I s) { return _mm256_dpwssd_avx_epi32(acc, p, and_(s, set32(0xffff))); }
#else
    // Pairwise 16-bit products. Safe from saturation while u8 <= 128: 128 * 127 * 2 < 2^15.
    static I mul_u8s8(I w, I x) { return _mm256_maddubs_epi16(w, x); }
    static I add16(I a, I b) { return _mm256_add_epi16(a, b); }
    static I widen_add(I acc, I p16) { return _mm256_add_epi32(acc, _mm256_madd_epi16(p16, _mm256_set1_epi16(1))); }
    static I scaled_add(I acc, I p16, I s) { return _mm256_add_epi32(acc, _mm256_madd_epi16(p16, s)); }  // s: of factor
    static I abs8(I w) { return _mm256_abs_epi8(w); }
    static I sign8(I x, I w) { return _mm256_sign_epi8(x, w); }
#endif
    // v in a register, computed here
    template <class V> static void keep(V & v) { __asm__("" : "+v"(v)); }
    // Into L2. As assembly: GCC 12 takes a function that only prefetches for one without effect and drops its calls.
    static void prefetch(const void * p) { __asm__ volatile("prefetcht1 %0" : : "m"(*static_cast<const char *>(p))); }

private:
    template <int J, int Lane> static constexpr int NTH_BYTE = (4 * Lane + J / 2) * 0x01010101;  // byte J/2 of the lane, four times
    template <class Index, int At> static int at(const uint32_t * table, const Spilled & s, int lane) {
        Index i;
        memcpy(&i, s.bytes + 4 * lane + At, sizeof i);
        return static_cast<int>(table[i]);
    }
    struct __attribute__((packed, may_alias)) Int { int v; };
    struct __attribute__((packed, may_alias)) Short { short v; };
    static __m128i load128(const uint8_t * p) { return _mm_loadu_si128(reinterpret_cast<const __m128i *>(p)); }
    template <int N> static __m128i ins16(__m128i a, const uint8_t * p) {
        return _mm_insert_epi16(a, reinterpret_cast<const Short *>(p)->v, N);
    }
};

}  // namespace MOE_ISA
}  // namespace moe

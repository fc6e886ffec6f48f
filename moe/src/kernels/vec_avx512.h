// Vector primitives for AVX-512 (F, BW, DQ, VL, VNNI); with MOE_VBMI for VBMI and GFNI as well.
#pragma once

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

namespace moe {
namespace MOE_ISA {

struct Vec {
    static constexpr int  L     = 16;    // rows held by one vector (32-bit lanes)
    static constexpr int  R     = 2;     // vectors per tile: 2 x 6 accumulators and as many partial sums fill 32 registers
    static constexpr int  NT    = 6;     // activation rows per pass
    static constexpr int  PASSES = 1;   // over a tile's rows
    static constexpr bool DOT  = true;  // dot: four products a lane, summed in 32 bits
    static constexpr int  DOT_STEPS = 1;  // products of one vector of activations
    static constexpr bool UNSIGNED = true;  // weights must be unsigned, of the whole range of a byte
    static constexpr bool SCALED16 = true;  // scaled_add takes sums of 16 bits
#if defined(__AVX512F__)
    static constexpr bool IN_REGISTERS = true;  // a register holds a vector
#else
    static constexpr bool IN_REGISTERS = false;  // these instructions are emulated
#endif
#if defined(MOE_VBMI)
    static constexpr bool VBMI = true;  // bytes are looked up in tables of 64 and more
#else
    static constexpr bool VBMI = false;
#endif
    static constexpr int  AHEAD_STREAMS = 4;  // of prefetches, see Ahead: measured on an Intel Xeon
    static constexpr int  DOT_TOKENS = 6;  // 4 x 6 sums, 6 activation vectors and one of weights: 31 registers
    static constexpr int  GEMM_ROWS = 12, GEMM_VECS = 2;  // 12 x 2 sums, 2 vectors of one factor, a number of the other: 27

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
    static I sub(I a, I b) { return _mm512_sub_epi32(a, b); }
    static I add8(I a, I b) { return _mm512_add_epi8(a, b); }
    static I sub8(I a, I b) { return _mm512_sub_epi8(a, b); }
    static I add(I a, I b) { return _mm512_add_epi32(a, b); }
    static I max(I a, I b) { return _mm512_max_epi32(a, b); }  // signed
    template <int N> static I srl(I a) { return _mm512_srli_epi32(a, N); }
    template <int N> static I srl8(I a) { return and_(srl<N>(a), set8(0xff >> N)); }  // each byte
    template <int N> static I sll(I a) { return _mm512_slli_epi32(a, N); }
    template <int N> static I sra(I a) { return _mm512_srai_epi32(a, N); }

    // byte N of each lane less Bias, as scaled and scaled_add take it: a 16-bit number in both halves of the lane
    template <int N, int Bias> static I factor(I v) {
        constexpr int o = static_cast<int>(0x80008000u) | N * 0x00010001;
        const I byte = _mm512_shuffle_epi8(v, _mm512_set4_epi32(o + 0x000c000c, o + 0x00080008, o + 0x00040004, o));
        return Bias == 0 ? byte : _mm512_sub_epi16(byte, set32(Bias * 0x00010001));
    }
    // bytes times a factor, which stay bytes
    static I scaled(I v, I s) { return _mm512_mullo_epi16(v, s); }

    // v | (bits 4J..4J+3 of h, one per byte, at bit Bit): another bit of columns 4J..4J+3
    template <int J, int Bit = 4> static I or_bit4(I v, I h) {
        const I byte = _mm512_shuffle_epi8(h, _mm512_set4_epi32(NTH_BYTE<J, 3>, NTH_BYTE<J, 2>, NTH_BYTE<J, 1>, NTH_BYTE<J, 0>));
        const __mmask64 set = _mm512_test_epi8_mask(byte, _mm512_set1_epi32(J % 2 ? static_cast<int>(0x80402010u) : 0x08040201));
        return _mm512_mask_add_epi8(v, set, v, _mm512_set1_epi8(1 << Bit));
    }

    // byte N of each lane, in all of its bytes
    template <int N> static I all_bytes(I v) {
        constexpr int o = N * 0x01010101;
        return _mm512_shuffle_epi8(v, _mm512_set4_epi32(o + 0x0c0c0c0c, o + 0x08080808, o + 0x04040404, o));
    }
    // the bytes that are not x
    static I unless8(I v, uint8_t x) { return _mm512_maskz_mov_epi8(_mm512_cmpneq_epu8_mask(v, set8(x)), v); }
    // 3 * byte / 256
    static I ternary_digit(I v) {
        const I low = _mm512_maskz_mov_epi8(_mm512_cmpge_epu8_mask(v, set8(86)), set8(1));
        return _mm512_mask_mov_epi8(low, _mm512_cmpge_epu8_mask(v, set8(171)), set8(2));
    }

    static I lookup16(const int8_t * table, I idx) {
        const I t = _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i *>(table)));
        return _mm512_shuffle_epi8(t, idx);
    }

    // Indices in memory, and what a table has at those of type Index that start at byte At of each lane. One by one: VPGATHERDD
    // is no faster on the processors that were tried, and several times slower on Intel's since they are protected from
    // leaking what it reads.
    struct Spilled { alignas(64) uint8_t bytes[64]; };
    static void spill(Spilled & s, I v) {
        store(s.bytes, v);
        __asm__("" : "+m"(s));  // or the compiler takes them from the register again, which is slower
    }
    template <class Index, int At> static I gather(const uint32_t * table, const Spilled & s) {
        __m128i q[4];
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
            q[i] = _mm_cvtsi32_si128(at<Index, At>(table, s, 4 * i));
            q[i] = _mm_insert_epi32(q[i], (at<Index, At>(table, s, 4 * i + 1)), 1);
            q[i] = _mm_insert_epi32(q[i], (at<Index, At>(table, s, 4 * i + 2)), 2);
            q[i] = _mm_insert_epi32(q[i], (at<Index, At>(table, s, 4 * i + 3)), 3);
        }
        const I v = _mm512_inserti32x4(_mm512_inserti32x4(_mm512_castsi128_si512(q[0]), q[1], 1), q[2], 2);
        return _mm512_inserti32x4(v, q[3], 3);
    }

#if defined(MOE_VBMI)
    // eight bits of each lane, from bit A on in its first byte, from bit B on in the next, and so on; of those past the lane's
    // ends come from its neighbour
    template <int A, int B, int C, int D> static I fields(I v) {
        constexpr auto both = [](int x) { return static_cast<long long>(x & 63) | static_cast<long long>((x + 32) & 63) << 32; };
        constexpr long long control = both(A) | both(B) << 8 | both(C) << 16 | both(D) << 24;
        return _mm512_multishift_epi64_epi8(_mm512_set1_epi64(control), v);
    }
    // the bits of a where mask has ones, and those of b elsewhere
    static I select(I mask, I a, I b) { return _mm512_ternarylogic_epi32(mask, a, b, 0xca); }
    // each byte of idx selects by its lower six bits
    static I lookup64(const uint8_t * table, I idx) { return _mm512_permutexvar_epi8(idx, load(table)); }
    // each byte of low, with the lowest bits of that of high above it, selects
    template <int Entries> static I lookup(const uint8_t * table, I low, I high) {
        constexpr int n = Entries / 128;
        I r[n];
#pragma GCC unroll 16
        for (int i = 0; i < n; ++i) { r[i] = _mm512_permutex2var_epi8(load(table + 128 * i), low, load(table + 128 * i + 64)); }
#pragma GCC unroll 4
        for (int half = n / 2, bit = -1; half > 0; half /= 2, ++bit) {
            const __mmask64 upper = bit < 0 ? _mm512_movepi8_mask(low) : _mm512_test_epi8_mask(high, set8(static_cast<uint8_t>(1 << (bit < 0 ? 0 : bit))));
#pragma GCC unroll 8
            for (int i = 0; i < half; ++i) { r[i] = _mm512_mask_blend_epi8(upper, r[2 * i], r[2 * i + 1]); }
        }
        return r[0];
    }
    // bytes 2N and 2N + 1 of each lane of a and b: a, b, a, b
    template <int N> static I pair_bytes(I a, I b) {
        constexpr int o = 0x41014000 + 2 * N * 0x01010101;
        alignas(64) static constexpr Lanes index = lanes(o);
        return _mm512_permutex2var_epi8(a, load(index.v), b);
    }
    // bytes N and N + 2 of each lane of a, and then of b
    template <int N> static I odd_bytes(I a, I b) {
        constexpr int o = 0x42400200 + N * 0x01010101;
        alignas(64) static constexpr Lanes index = lanes(o);
        return _mm512_permutex2var_epi8(a, load(index.v), b);
    }
    // the lower seven bits of each byte, and above them one where their number is odd
    static I odd_above(I v) { return _mm512_gf2p8affine_epi64_epi8(v, _mm512_set1_epi64(0x010204081020407f), 0); }
#endif

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

    static I acts(const void * p) { return bcast32(p); }
    static I dot(I acc, I w, I x, int) { return _mm512_dpbusd_epi32(acc, w, x); }
    // acc + p * s, s of factor, p in 16 bits: one product of pairs, whose second factor's upper half is zero
    static I scaled_add(I acc, I p, I s) { return _mm512_dpwssd_epi32(acc, p, and_(s, set32(0xffff))); }
    // v in a register, computed here
    template <class V> static void keep([[maybe_unused]] V & v) {
        if constexpr (IN_REGISTERS) { __asm__("" : "+v"(v)); }
    }
    // Into L2. As assembly: GCC 12 takes a function that only prefetches for one without effect and drops its calls.
    static void prefetch(const void * p) { __asm__ volatile("prefetcht1 %0" : : "m"(*static_cast<const char *>(p))); }

private:
    template <int J, int Lane> static constexpr int NTH_BYTE = (4 * Lane + J / 2) * 0x01010101;  // byte J/2 of the lane, four times
    struct Lanes { int v[16]; };
    static constexpr Lanes lanes(int first) {  // four bytes of a lane, and those of the lanes after it
        Lanes l{};
        for (int i = 0; i < 16; ++i) { l.v[i] = first + i * 0x04040404; }
        return l;
    }
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

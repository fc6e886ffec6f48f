// IQ1, IQ2 and IQ3 for a few activation rows, where bytes are looked up one by one: a vector is 32 columns of one weight row,
// so that what an index stands for is read from its codebook as the bytes that are multiplied. (A vector of columns of
// several rows, as in a panel, needs an index of each row, and what they stand for must be packed and unpacked again.)
// 256-bit vectors, whatever Vec has; include after gemm-inl.h.
//
// Signs: a byte holds those of eight columns, bit i that of column i. Doubled into a 16-bit number whose low byte is
// 2s + 1 and whose high byte is s | 1, times 64, 16, 4 and 1, it has the signs of columns 2j and 2j + 1 at the top of both
// bytes of the j-th product, and the ones keep every byte from being zero: VPSIGNB takes them as they are.
#pragma once

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "codebooks.h"

namespace moe {
namespace MOE_ISA {
namespace along {

using Y = __m256i;

MOE_INLINE Y load(const void * p) { return _mm256_loadu_si256(static_cast<const Y *>(p)); }
MOE_INLINE __m128i load128(const void * p) { return _mm_loadu_si128(static_cast<const __m128i *>(p)); }
MOE_INLINE __m128i load64(const void * p) { return _mm_loadl_epi64(static_cast<const __m128i *>(p)); }
MOE_INLINE Y both(__m128i a) { return _mm256_broadcastsi128_si256(a); }
MOE_INLINE Y set8(int x) { return _mm256_set1_epi8(static_cast<char>(x)); }
MOE_INLINE Y set16(int x) { return _mm256_set1_epi16(static_cast<short>(x)); }
MOE_INLINE Y set32(uint32_t x) { return _mm256_set1_epi32(static_cast<int>(x)); }
MOE_INLINE float half(const uint8_t * p) {
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(h)));
}
// acc + p * s: p sums of two products, s a scale in both halves of each lane
MOE_INLINE Y scaled_add(Y acc, Y p, Y s) {
#if defined(MOE_AVX_VNNI)
    return _mm256_dpwssd_avx_epi32(acc, p, s);
#elif defined(__AVX512VNNI__)
    return _mm256_dpwssd_epi32(acc, p, s);
#else
    return _mm256_add_epi32(acc, _mm256_madd_epi16(p, s));
#endif
}

// In memory, from where single elements are read again. Left alone, GCC takes them from the register, which is slower.
template <class T, int N> struct Stored {
    alignas(32) T at[N];
    MOE_INLINE void set(int first, Y v) {
        _mm256_store_si256(reinterpret_cast<Y *>(at + first), v);
        __asm__("" : "+m"(at));
    }
};

// The signs of 256 columns, from bytes of eight.
struct Signs {
    Stored<uint16_t, 32> doubled;
    MOE_INLINE void set(Y s) {  // of columns 0 to 63 and 128 to 191, then the others
        const Y one = set8(1), low = _mm256_or_si256(_mm256_add_epi8(s, s), one), high = _mm256_or_si256(s, one);
        doubled.set(0, _mm256_unpacklo_epi8(low, high));
        doubled.set(16, _mm256_unpackhi_epi8(low, high));
    }
    // With an eighth sign that makes the number of negative ones even.
    MOE_INLINE void set7(Y s) {
        const Y folded = _mm256_and_si256(_mm256_xor_si256(s, _mm256_srli_epi16(s, 4)), set8(0x0f));
        set(_mm256_or_si256(s, _mm256_shuffle_epi8(both(load128(ODD_NUMBER)), folded)));
    }
    // Magnitudes of 32 columns with their signs; At: the place of their first byte in what was set.
    template <int At> MOE_INLINE Y apply(Y magnitudes) const {
        uint64_t four;
        memcpy(&four, doubled.at + At, sizeof four);
        const Y spread = _mm256_set_epi64x(0x0706070607060706, 0x0504050405040504, 0x0302030203020302, 0x0100010001000100);
        const Y each = _mm256_shuffle_epi8(_mm256_set1_epi64x(static_cast<long long>(four)), spread);
        return _mm256_sign_epi8(magnitudes, _mm256_mullo_epi16(each, _mm256_set1_epi64x(0x0001000400100040)));
    }
};
// Where the first of a vector's four bytes is after unpacking bytes that lay in order.
constexpr int unpacked_at(int v) { return v / 4 * 8 + v % 4 / 2 * 16 + v % 2 * 4; }

// Seven signs in each byte, of four numbers in each lane.
MOE_INLINE Y sevens(Y v) {
    const Y a = _mm256_and_si256(v, set32(0x7f)), b = _mm256_and_si256(_mm256_slli_epi32(v, 1), set32(0x7f00));
    const Y c = _mm256_and_si256(_mm256_slli_epi32(v, 2), set32(0x7f0000)), d = _mm256_and_si256(_mm256_slli_epi32(v, 3), set32(0x7f000000));
    return _mm256_or_si256(_mm256_or_si256(a, b), _mm256_or_si256(c, d));
}

// What four indices stand for, eight columns each; eight, four columns each.
template <class Index> MOE_INLINE Y entries(const uint64_t * book, const Index * i) {
    const auto two = [&](int k) MOE_INLINED {
        const __m128 low = _mm_castsi128_ps(load64(book + i[k]));
        return _mm_castps_si128(_mm_loadh_pi(low, reinterpret_cast<const __m64 *>(book + i[k + 1])));
    };
    return _mm256_inserti128_si256(_mm256_castsi128_si256(two(0)), two(2), 1);
}
template <class Index> MOE_INLINE Y entries(const uint32_t * book, const Index * i) {
    const auto at = [&](int k) MOE_INLINED { return static_cast<int>(book[i[k]]); };
    const auto four = [&](int k) MOE_INLINED {
        const __m128i two = _mm_insert_epi32(_mm_cvtsi32_si128(at(k)), at(k + 1), 1);
        return _mm_insert_epi32(_mm_insert_epi32(two, at(k + 2), 2), at(k + 3), 3);
    };
    return _mm256_inserti128_si256(_mm256_castsi128_si256(four(0)), four(4), 1);
}

// Whole scales of 32 columns each.
struct Scales32 {
    Y scale;
    Stored<uint32_t, 8> twice;  // in both halves
    MOE_INLINE void set(Y s) {
        scale = s;
        twice.set(0, _mm256_shuffle_epi8(s, _mm256_set_epi64x(0x0d0c0d0c09080908, 0x0504050401000100, 0x0d0c0d0c09080908, 0x0504050401000100)));
    }
    template <int V> MOE_INLINE Y of() const { return set32(twice.at[V]); }
    // The sum of each group's scale times what makes up for its offset.
    MOE_INLINE Y start(const uint8_t * init) const { return _mm256_mullo_epi32(scale, load(init)); }
};
// Of 16 columns each.
struct Scales16 {
    Y scale;        // 16 bits: of groups 0, 2, ... 14, then of 1, 3, ... 15
    Y in_order[2];  // 32 bits
    MOE_INLINE void set(Y s) {
        scale = s;
        const __m128i even = _mm256_castsi256_si128(s), odd = _mm256_extracti128_si256(s, 1);
        in_order[0] = _mm256_cvtepu16_epi32(_mm_unpacklo_epi16(even, odd));
        in_order[1] = _mm256_cvtepu16_epi32(_mm_unpackhi_epi16(even, odd));
    }
    template <int V> MOE_INLINE Y of() const { return _mm256_shuffle_epi8(scale, set16((2 * V + 1) << 8 | 2 * V)); }
    MOE_INLINE Y start(const uint8_t * init) const {
        return _mm256_add_epi32(_mm256_mullo_epi32(in_order[0], load(init)), _mm256_mullo_epi32(in_order[1], load(init + 32)));
    }
};
MOE_INLINE Y odd32(Y s) { return _mm256_or_si256(_mm256_add_epi32(s, s), set32(1)); }  // 2 * s + 1
MOE_INLINE Y odd16(Y s) { return _mm256_or_si256(_mm256_add_epi16(s, s), set16(1)); }
// Those of eight bytes: the even groups' in the low halves, the odd ones' in the high halves.
MOE_INLINE Y nibbles16(const uint8_t * p) {
    const __m128i v = _mm_cvtepu8_epi16(load64(p));
    return odd16(_mm256_inserti128_si256(_mm256_castsi128_si256(_mm_and_si128(v, _mm_set1_epi16(15))), _mm_srli_epi16(v, 4), 1));
}

// Sixteen indices: a byte, and above it the bits of `mask` in a word of `bits` times that of `lift`.
MOE_INLINE Y wide_indices(const uint8_t * low, Y bits, Y lift, int mask) {
    const Y high = _mm256_and_si256(_mm256_mullo_epi16(bits, lift), set16(mask));
    return _mm256_or_si256(_mm256_cvtepu8_epi16(load128(low)), high);
}

// A block of one row: `weights` has 32 columns, plus the type's offset.
template <class T> struct Block;

template <> struct Block<IQ2_XXS> : Scales32 {
    const uint8_t * p;
    Signs signs;
    MOE_INLINE float scale_of_all() const { return half(p) * 0.125f; }
    MOE_INLINE void read(const uint8_t * block) {
        p = block;
        const __m256 a = _mm256_castsi256_ps(load(p + 2)), b = _mm256_castsi256_ps(load(p + 34));
        const Y v = _mm256_permute4x64_epi64(_mm256_castps_si256(_mm256_shuffle_ps(a, b, 0xdd)), 0xd8);  // every second 32 bits
        set(_mm256_or_si256(_mm256_srli_epi32(v, 27), set32(1)));  // four bits: 2 * s + 1
        signs.set7(sevens(v));
    }
    template <int V> MOE_INLINE Y weights() const {
        return _mm256_add_epi8(signs.apply<unpacked_at(V)>(entries(g_codebooks.iq2_xxs.columns, p + 2 + 8 * V)), set8(IQ2_OFFSET));
    }
};

template <> struct Block<IQ2_XS> : Scales16 {
    const uint8_t * p;
    Signs signs;
    Stored<uint16_t, 32> index;
    MOE_INLINE float scale_of_all() const { return half(p) * 0.125f; }
    MOE_INLINE void read(const uint8_t * block) {
        p = block;
        set(nibbles16(p + 66));
        const Y a = load(p + 2), b = load(p + 34);
        index.set(0, _mm256_and_si256(a, set16(0x1ff)));
        index.set(16, _mm256_and_si256(b, set16(0x1ff)));
        signs.set7(_mm256_packus_epi16(_mm256_srli_epi16(a, 9), _mm256_srli_epi16(b, 9)));  // which unpacking undoes
    }
    template <int V> MOE_INLINE Y weights() const {
        return _mm256_add_epi8(signs.apply<4 * V>(entries(g_codebooks.iq2_xs.columns, index.at + 4 * V)), set8(IQ2_OFFSET));
    }
};

template <> struct Block<IQ2_S> : Scales16 {
    const uint8_t * p;
    Signs signs;
    Stored<uint16_t, 32> index;
    MOE_INLINE float scale_of_all() const { return half(p) * 0.125f; }
    MOE_INLINE void read(const uint8_t * block) {
        p = block;
        set(nibbles16(p + 74));
        signs.set(load(p + 34));
        const Y high = both(load64(p + 66)), lift = _mm256_set1_epi64x(0x0004001000400100);  // two bits of each
        const __m128i first = _mm_set_epi64x(int64_t(0x8001800180018001), int64_t(0x8000800080008000));
        const Y spread = _mm256_inserti128_si256(_mm256_castsi128_si256(first), _mm_add_epi8(first, _mm_set1_epi16(2)), 1);
        index.set(0, wide_indices(p + 2, _mm256_shuffle_epi8(high, spread), lift, 0x300));
        index.set(16, wide_indices(p + 18, _mm256_shuffle_epi8(high, _mm256_add_epi8(spread, set16(4))), lift, 0x300));
    }
    template <int V> MOE_INLINE Y weights() const {
        return _mm256_add_epi8(signs.apply<unpacked_at(V)>(entries(g_codebooks.iq2_s.columns, index.at + 4 * V)), set8(IQ2_OFFSET));
    }
};

template <> struct Block<IQ3_XXS> : Scales32 {
    const uint8_t * p;
    Signs signs;
    MOE_INLINE float scale_of_all() const { return half(p) * 0.25f; }
    MOE_INLINE void read(const uint8_t * block) {
        p = block;
        const Y v = load(p + 66);
        set(_mm256_or_si256(_mm256_srli_epi32(v, 27), set32(1)));  // four bits: 2 * s + 1
        signs.set7(sevens(v));
    }
    template <int V> MOE_INLINE Y weights() const {
        return _mm256_add_epi8(signs.apply<unpacked_at(V)>(entries(g_codebooks.iq3_xxs.columns, p + 2 + 8 * V)), set8(IQ3_XXS_OFFSET));
    }
};

template <> struct Block<IQ3_S> : Scales32 {
    const uint8_t * p;
    Signs signs;
    Stored<uint16_t, 64> index;
    MOE_INLINE float scale_of_all() const { return half(p); }
    MOE_INLINE void read(const uint8_t * block) {
        p = block;
        uint32_t nibbles;
        memcpy(&nibbles, p + 106, sizeof nibbles);
        const Y each = _mm256_srlv_epi32(set32(nibbles), _mm256_set_epi32(28, 24, 20, 16, 12, 8, 4, 0));
        set(odd32(_mm256_and_si256(each, set32(15))));
        signs.set(load(p + 74));
        const Y high = both(load64(p + 66)), lift = both(_mm_set_epi16(2, 4, 8, 16, 32, 64, 128, 256));  // a bit of each
        const Y spread = _mm256_inserti128_si256(set16(int16_t(0x8000)), _mm_set1_epi16(int16_t(0x8001)), 1);
        steps<4>([&](auto n) MOE_INLINED {
            const Y bits = _mm256_shuffle_epi8(high, _mm256_add_epi8(spread, set16(2 * n)));
            index.set(16 * n, wide_indices(p + 2 + 16 * n, bits, lift, 0x100));
        });
    }
    template <int V> MOE_INLINE Y weights() const {
        return _mm256_add_epi8(signs.apply<unpacked_at(V)>(entries(g_codebooks.iq3_s.columns, index.at + 8 * V)), set8(IQ3_SOFFSET));
    }
};

// In IQ1 a sign is that of one eighth for all columns of an index, or of a group; the codebook's numbers have the offset.
template <> struct Block<IQ1_S> : Scales32 {
    const uint8_t * p;
    Stored<uint16_t, 32> index;
    Stored<uint32_t, 8>  eighth;
    MOE_INLINE float scale_of_all() const { return half(p) * 0.125f; }
    MOE_INLINE void read(const uint8_t * block) {
        p = block;
        const __m128i high = load128(p + 34);
        const Y v = _mm256_cvtepu16_epi32(high);
        set(_mm256_or_si256(_mm256_and_si256(_mm256_srli_epi32(v, 11), set32(0x0e)), set32(1)));
        eighth.set(0, _mm256_or_si256(_mm256_srai_epi32(_mm256_slli_epi32(v, 16), 31), set8(1)));
        const Y to_top = _mm256_set1_epi64x(0x0010008004002000);  // three bits of each
        const __m128i first = _mm_set_epi64x(0x0302030203020302, 0x0100010001000100);
        const Y spread = _mm256_inserti128_si256(_mm256_castsi128_si256(first), _mm_add_epi8(first, _mm_set1_epi8(4)), 1);
        steps<2>([&](auto n) MOE_INLINED {
            const Y bits = _mm256_shuffle_epi8(both(high), _mm256_add_epi8(spread, set8(8 * n)));
            const Y above = _mm256_and_si256(_mm256_srli_epi16(_mm256_mullo_epi16(bits, to_top), 5), set16(0x700));
            index.set(16 * n, _mm256_or_si256(_mm256_cvtepu8_epi16(load128(p + 2 + 16 * n)), above));
        });
    }
    template <int V> MOE_INLINE Y weights() const {
        return _mm256_add_epi8(entries(g_codebooks.iq1.columns, index.at + 4 * V), set32(eighth.at[V]));
    }
};

template <> struct Block<IQ1_M> : Scales16 {
    const uint8_t * p;
    Stored<uint16_t, 32> index;
    Stored<uint8_t, 32>  eighth;
    MOE_INLINE float scale_of_all() const {  // a half-precision number in the upper four bits of each scale word
        uint64_t v;
        memcpy(&v, p + 48, sizeof v);
        const uint64_t h = (v >> 12 & 0x000f) | (v >> 24 & 0x00f0) | (v >> 36 & 0x0f00) | (v >> 48 & 0xf000);
        return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(static_cast<int>(h)))) * 0.125f;
    }
    MOE_INLINE void read(const uint8_t * block) {
        p = block;
        const Y words = _mm256_shuffle_epi8(both(load64(p + 48)), both(_mm_set_epi64x(0x0706070605040504, 0x0302030201000100)));
        const Y to_top = _mm256_set_epi64x(0x0010040000100400, 0x0010040000100400, 0x0080200000802000, 0x0080200000802000);
        set(odd16(_mm256_srli_epi16(_mm256_mullo_epi16(words, to_top), 13)));
        const __m128i high = load128(p + 32), low_nibbles = _mm_slli_epi16(high, 4);
        const Y signs = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_unpacklo_epi8(low_nibbles, high)), _mm_unpackhi_epi8(low_nibbles, high), 1);
        eighth.set(0, _mm256_or_si256(_mm256_cmpgt_epi8(_mm256_setzero_si256(), signs), set8(1)));
        const Y lift = set32(0x00100100);  // three bits of each
        const __m128i first = _mm_set_epi64x(int64_t(0x8003800380028002), int64_t(0x8001800180008000));
        const Y spread = _mm256_inserti128_si256(_mm256_castsi128_si256(first), _mm_add_epi8(first, _mm_set1_epi16(4)), 1);
        index.set(0, wide_indices(p, _mm256_shuffle_epi8(both(high), spread), lift, 0x700));
        index.set(16, wide_indices(p + 16, _mm256_shuffle_epi8(both(high), _mm256_add_epi8(spread, set16(8))), lift, 0x700));
    }
    template <int V> MOE_INLINE Y weights() const {
        uint32_t four;
        memcpy(&four, eighth.at + 4 * V, sizeof four);
        const Y spread = _mm256_set_epi64x(0x0303030303030303, 0x0202020202020202, 0x0101010101010101, 0);
        return _mm256_add_epi8(entries(g_codebooks.iq1.columns, index.at + 4 * V), _mm256_shuffle_epi8(set32(four), spread));
    }
};

constexpr int BLOCKS = 8;  // of a row that are read before they are multiplied: what a block's signs, scales and indices take
                           // would be waited for otherwise, since a core looks about one block ahead

// f += the products of `count` blocks of a row, the first of them its first-th, with N activation rows.
template <class T, int N> MOE_INLINE void multiply_blocks(const Block<T> * blocks, int first, int count, const TileArgs & a, __m256 (&f)[N]) {
    for (int i = 0; i < count; ++i) {
        const Block<T> & block = blocks[i];
        const int b = first + i;
        Y acc[N];
        MOE_UNROLL
        for (int t = 0; t < N; ++t) { acc[t] = block.start(a.x[t] + a.layout.off_init + b * (T::COLS / T::GROUP * 4)); }
        steps<T::COLS / 32>([&](auto v) MOE_INLINED {
            const Y q = block.template weights<v>(), s = block.template of<v>();
            MOE_UNROLL
            for (int t = 0; t < N; ++t) {
                acc[t] = scaled_add(acc[t], _mm256_maddubs_epi16(q, load(a.x[t] + b * T::COLS + 32 * v)), s);
            }
        });
        const float d = block.scale_of_all();
        MOE_UNROLL
        for (int t = 0; t < N; ++t) {
            f[t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(acc[t]), _mm256_set1_ps(d * row_f32(a.x[t], a.layout.off_d)[b]), f[t]);
        }
    }
}

// All rows of a tile times N activation rows. The next tile is prefetched on the way: past the last row it may be unmapped,
// but a prefetch never faults.
template <class T, int N> void multiply(const TileArgs & a) {
    const int whole = a.layout.k / T::COLS;
    Block<T> blocks[BLOCKS];
    for (int row = 0; row < a.rows; ++row) {
        const uint8_t * w = a.w + size_t(row) * a.stride;
        const uint8_t * ahead = (a.next != nullptr ? a.next : a.w) + size_t(row) * a.stride;
        __m256 f[N];
        MOE_UNROLL
        for (int t = 0; t < N; ++t) { f[t] = _mm256_setzero_ps(); }
        for (int b = 0; b < whole; b += BLOCKS) {
            const int count = whole - b < BLOCKS ? whole - b : BLOCKS;
            for (int i = 0; i < count; ++i, w += T::BYTES, ahead += T::BYTES) {
                blocks[i].read(w);
                Vec::prefetch(ahead);
                if (T::BYTES > 64) { Vec::prefetch(ahead + 64); }
            }
            multiply_blocks<T, N>(blocks, b, count, a, f);
        }
        MOE_UNROLL
        for (int t = 0; t < N; ++t) {
            const __m128 four = _mm_add_ps(_mm256_castps256_ps128(f[t]), _mm256_extractf128_ps(f[t], 1));
            const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            a.acc[t * TILE_ROWS + row] = _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
        }
    }
}

// Activation rows; with more, panels are faster (bench/LOG.md, entry 45): those of AVX-512 have vectors of twice the size.
template <class T> constexpr int MOST = L == 8 ? 6 : T::Book::COLUMNS == 4 ? 4 : 2;

template <class T, int N> void up_to(const TileArgs & a) {
    if constexpr (N > MOST<T>) {
        tile_quant<T>(a);
    } else if (a.n == N) {
        multiply<T, N>(a);
    } else {
        up_to<T, N + 1>(a);
    }
}

}  // namespace along

// Replaces the codebook types' kernels by those that take a few activation rows along the weight rows.
inline void set_codebook_rows(KernelTable & t) {
    t.types[static_cast<int>(WType::IQ1_S)].tile = along::up_to<IQ1_S, 1>;
    t.types[static_cast<int>(WType::IQ1_M)].tile = along::up_to<IQ1_M, 1>;
    t.types[static_cast<int>(WType::IQ2_XXS)].tile = along::up_to<IQ2_XXS, 1>;
    t.types[static_cast<int>(WType::IQ2_XS)].tile = along::up_to<IQ2_XS, 1>;
    t.types[static_cast<int>(WType::IQ2_S)].tile = along::up_to<IQ2_S, 1>;
    t.types[static_cast<int>(WType::IQ3_XXS)].tile = along::up_to<IQ3_XXS, 1>;
    t.types[static_cast<int>(WType::IQ3_S)].tile = along::up_to<IQ3_S, 1>;
}

}  // namespace MOE_ISA
}  // namespace moe

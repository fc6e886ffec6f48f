// Unpack traits of the types whose indices stand for 4 or 8 columns at once (IQ1, IQ2, IQ3). Include after unpack-inl.h.
//
// Four indices of a row become vectors of *levels* (Codes), a level and a sign become a weight (weights): all but the layout of
// the blocks is the same for all of them.
#pragma once

#include <stdint.h>

#include "codebooks.h"

namespace moe {
namespace MOE_ISA {

// The weights of a level in the low bits and a sign at bit 3, plus Offset; the same whatever the bits between and above are.
struct Weights64 { alignas(64) uint8_t byte[64]; };
template <int Offset, int Levels> constexpr Weights64 signed_levels(const int (&levels)[Levels]) {
    Weights64 w{};
    for (int i = 0; i < 64; ++i) {
        const int level = i % (Levels > 4 ? 8 : 4), value = level < Levels ? levels[level] : 0;
        w.byte[i] = static_cast<uint8_t>(Offset + (i & 8 ? -value : value));
    }
    return w;
}
// In IQ1 the sign is that of an eighth that is added to the level.
template <int Offset> constexpr Weights64 shifted_levels() {
    Weights64 w{};
    for (int i = 0; i < 64; ++i) {
        w.byte[i] = static_cast<uint8_t>(Offset + (i % 4 < 3 ? 8 * IQ1_LEVELS[i % 4] : 0) + (i & 8 ? -1 : 1));
    }
    return w;
}

constexpr int IQ1_OFFSET = 9, IQ2_OFFSET = 43, IQ3_XXS_OFFSET = 62, IQ3_SOFFSET = 15;
alignas(64) static constexpr Weights64 IQ1_WEIGHTS    = shifted_levels<IQ1_OFFSET>();
alignas(64) static constexpr Weights64 IQ2_WEIGHTS    = signed_levels<IQ2_OFFSET>(IQ2_LEVELS);
alignas(64) static constexpr Weights64 IQ3_XXS_WEIGHTS = signed_levels<IQ3_XXS_OFFSET>(IQ3_XXS_LEVELS);
alignas(64) static constexpr Weights64 IQ3_SWEIGHTS   = signed_levels<IQ3_SOFFSET>(IQ3_SLEVELS);

// The levels of the columns that the four indices of a lane stand for: `vector<K>` has those of its columns 4K to 4K + 3 in
// the low bits of its bytes. Bits 3 and 7 are zero without VBMI, and bits that weights() does not look at with it.
template <class Book, class V = Vec, bool Tables = V::VBMI> struct Codes;

// Looked up one by one.
template <class Book, class V> struct Codes<Book, V, false> {
    using Index = std::conditional_t<Book::ENTRIES <= 256, uint8_t, uint16_t>;
    const Book &        book;
    typename V::Spilled spilled[2];  // 16 bits each: indices 0 and 2, and 1 and 3; of bytes the first alone
    I                   both;        // the levels of eight columns

    // low: a byte of each index; high: what is above it, in the low bits of the same byte
    MOE_INLINE Codes(const Book & b, I low, I high) : book(b) {
        if constexpr (Book::ENTRIES <= 256) {
            V::spill(spilled[0], low);
        } else {
            constexpr uint32_t mask = Book::ENTRIES / 256 - 1;
            const I bytes = V::set32(0x00ff00ff);
            V::spill(spilled[0], V::or_(V::and_(low, bytes), V::template sll<8>(V::and_(high, V::set32(mask * 0x00010001)))));
            V::spill(spilled[1], V::or_(V::and_(V::template srl<8>(low), bytes), V::and_(high, V::set32(mask * 0x01000100))));
        }
    }
    template <int K> MOE_INLINE I vector() {
        if constexpr (Book::COLUMNS == 4) {
            return index<K>();
        } else if constexpr (K % 2 == 0) {
            both = index<K / 2>();
            return V::and_(both, V::set8(0x07));
        } else {
            return V::and_(V::template srl<4>(both), V::set8(0x07));
        }
    }

private:
    template <int N> MOE_INLINE I index() const {
        if constexpr (sizeof(Index) == 1) {
            return V::template gather<uint8_t, N>(book.words, spilled[0]);
        } else {
            return V::template gather<uint16_t, N / 2 * 2>(book.words, spilled[N % 2]);
        }
    }
};

// Looked up in tables that registers hold.
template <class Book, class V> struct Codes<Book, V, true> {
    I half[2];  // byte N of each lane: of index N the first half of its columns, and the second
    MOE_INLINE Codes(const Book & book, I low, I high) {
        const I first = V::template lookup<Book::ENTRIES>(book.halves[0], low, high), second = V::template lookup<Book::ENTRIES>(book.halves[1], low, high);
        half[0] = Book::COLUMNS == 4 ? V::template pair_bytes<0>(first, second) : first;
        half[1] = Book::COLUMNS == 4 ? V::template pair_bytes<1>(first, second) : second;
    }
    template <int K> MOE_INLINE I vector() const {
        if constexpr (Book::COLUMNS == 4) {
            return V::template fields<K % 2 * 16, K % 2 * 16 + 4, K % 2 * 16 + 8, K % 2 * 16 + 12>(half[K / 2]);
        } else {
            return V::template fields<K / 2 * 8, K / 2 * 8 + 2, K / 2 * 8 + 4, K / 2 * 8 + 6>(half[K % 2]);
        }
    }
};

// The bits of a code that are its level's.
template <class Book> constexpr uint8_t LEVEL_BITS = Book::COLUMNS == 4 ? 0x07 : 0x03;

// Weights from levels and signs: bits 4J..4J+3 of each lane.
template <class Book, int J, class V = Vec> MOE_INLINE I weights(const Weights64 & table, I levels, I signs) {
    if constexpr (V::VBMI) {
        const I at_bit3 = V::template fields<4 * J - 3, 4 * J - 2, 4 * J - 1, 4 * J>(signs);
        return V::lookup64(table.byte, V::select(V::set8(LEVEL_BITS<Book>), levels, at_bit3));
    } else {
        return V::lookup16(reinterpret_cast<const int8_t *>(table.byte), V::template or_bit4<J, 3>(levels, signs));
    }
}
// The same where a sign is at bit 3 of each byte already.
template <class Book, class V = Vec> MOE_INLINE I weights(const Weights64 & table, I levels, I signs) {
    if constexpr (V::VBMI) {
        return V::lookup64(table.byte, V::select(V::set8(LEVEL_BITS<Book>), levels, signs));
    } else {
        return V::lookup16(reinterpret_cast<const int8_t *>(table.byte), V::or_(levels, V::and_(signs, V::set8(0x08))));
    }
}

// Four numbers of Bits bits, from bit From of each lane on, in the low bits of a byte each, with others above them.
template <int Bits, int From, class V = Vec> MOE_INLINE I spread(I v) {
    if constexpr (V::VBMI) {
        return V::template fields<From, From + Bits, From + 2 * Bits, From + 3 * Bits>(v);
    } else {
        const auto field = [&](auto n) MOE_STEP {
            constexpr int right = From + n * Bits - 8 * n;
            const I mask = V::set32(uint32_t((1 << Bits) - 1) << (8 * n));
            if constexpr (right > 0) {
                return V::and_(V::template srl<right>(v), mask);
            } else if constexpr (right < 0) {
                return V::and_(V::template sll<-right>(v), mask);
            } else {
                return V::and_(v, mask);
            }
        };
        using std::integral_constant;
        return V::or_(V::or_(field(integral_constant<int, 0>()), field(integral_constant<int, 1>())),
                      V::or_(field(integral_constant<int, 2>()), field(integral_constant<int, 3>())));
    }
}

// Seven signs in each byte; the eighth makes the number of negative ones even.
alignas(16) static constexpr int8_t ODD_NUMBER[16] = {0, -128, -128, 0, -128, 0, 0, -128, -128, 0, 0, -128, 0, -128, -128, 0};
template <class V = Vec> MOE_INLINE I with_eighth_sign(I v) {
    if constexpr (V::VBMI) {
        return V::odd_above(v);
    } else {
        const I seven = V::and_(v, V::set8(0x7f));
        const I folded = V::and_(V::xor_(seven, V::template srl<4>(seven)), V::set8(0x0f));
        return V::or_(seven, V::lookup16(ODD_NUMBER, folded));
    }
}

// Signs and a scale, 2 * S + 1, in four bytes: four numbers of seven signs, and S above them.
MOE_INLINE I packed_signs(I v) { return with_eighth_sign(spread<7, 0>(v)); }
MOE_INLINE I packed_scale(I v) { return Vec::or_(Vec::srl<27>(v), Vec::set32(1)); }
// The scales, 2 * S + 1, of four groups from g on: S is in the lower half of each byte.
template <class O> MOE_INLINE void put_odd_scales4(O & o, int g, int step, I v) {
    const I s = Vec::or_(Vec::add(v, v), Vec::set8(1));
    o.template put_byte_scale<0, 0>(g, s);
    o.template put_byte_scale<1, 0>(g + step, s);
    o.template put_byte_scale<2, 0>(g + 2 * step, s);
    o.template put_byte_scale<3, 0>(g + 3 * step, s);
}

struct IQ3_XXS : Traits<256, 98, 32, 256, 0, IQ3_XXS_OFFSET, 2 * IQ3_XXS_OFFSET> {
    static constexpr bool BLOCK_SCALE = true;
    using Book = decltype(Codebooks::iq3_xxs);
    template <class O> MOE_INLINE static void block(const Rows & p, O & o) {
        o.put_block_scale(Vec::mul(Vec::rows_half(p, 0), Vec::setf(0.25f)));
        I packed[4];
        steps<4>([&](auto c) MOE_STEP {  // 64 columns
            I index[4];
            Vec::rows16(p, 2 + 16 * c, index);
            if constexpr (c % 2 == 0) { Vec::rows16(p, 66 + 8 * c, packed); }
            steps<2>([&](auto h) MOE_STEP {
                constexpr int g = 2 * c + h;
                o.put_whole_scale(g, packed_scale(packed[g % 4]));
                const I signs = packed_signs(packed[g % 4]);
                steps<2>([&](auto half) MOE_STEP {
                    Codes<Book> codes(g_codebooks.iq3_xxs, index[2 * h + half], Vec::zero());
                    steps<4>([&](auto j) MOE_STEP {
                        constexpr int kg = 4 * half + j;
                        o.put(8 * g + kg, weights<Book, kg>(IQ3_XXS_WEIGHTS, codes.template vector<j>(), signs));
                    });
                });
            });
        });
    }
};

struct IQ3_S : Traits<256, 110, 32, 256, 0, IQ3_SOFFSET, 2 * IQ3_SOFFSET> {
    static constexpr bool BLOCK_SCALE = true;
    using Book = decltype(Codebooks::iq3_s);
    template <class O> MOE_INLINE static void block(const Rows & p, O & o) {
        I high[4], signs[8], end[4];
        o.put_block_scale(Vec::rows_half(p, 0));
        Vec::rows16(p, 66, high);  // two of high bits, then signs
        Vec::rows16(p, 74, signs);
        Vec::rows16(p, 90, signs + 4);
        Vec::rows16(p, 94, end);  // the last of the signs; scales
        put_odd_scales4(o, 0, 2, nib_lo(end[3]));
        put_odd_scales4(o, 1, 2, nib_hi(end[3]));
        steps<4>([&](auto c) MOE_STEP {
            I index[4];
            Vec::rows16(p, 2 + 16 * c, index);
            steps<4>([&](auto q) MOE_STEP {  // 16 columns
                constexpr int g = 2 * c + q / 2;
                Codes<Book> codes(g_codebooks.iq3_s, index[q], spread<1, g % 4 * 8 + q % 2 * 4>(high[g / 4]));
                steps<4>([&](auto j) MOE_STEP {
                    constexpr int kg = q % 2 * 4 + j;
                    o.put(8 * g + kg, weights<Book, kg>(IQ3_SWEIGHTS, codes.template vector<j>(), signs[g]));
                });
            });
        });
    }
};

struct IQ2_XXS : Traits<256, 66, 32, 256, 0, IQ2_OFFSET, 2 * IQ2_OFFSET> {
    static constexpr bool BLOCK_SCALE = true;
    using Book = decltype(Codebooks::iq2_xxs);
    template <class O> MOE_INLINE static void block(const Rows & p, O & o) {
        o.put_block_scale(Vec::mul(Vec::rows_half(p, 0), Vec::setf(0.125f)));
        steps<4>([&](auto c) MOE_STEP {  // 64 columns
            I v[4];
            Vec::rows16(p, 2 + 16 * c, v);  // four indices, their signs and the scale; twice
            steps<2>([&](auto h) MOE_STEP {
                constexpr int g = 2 * c + h;
                o.put_whole_scale(g, packed_scale(v[2 * h + 1]));
                const I signs = packed_signs(v[2 * h + 1]);
                Codes<Book> codes(g_codebooks.iq2_xxs, v[2 * h], Vec::zero());
                steps<8>([&](auto j) MOE_STEP { o.put(8 * g + j, weights<Book, j>(IQ2_WEIGHTS, codes.template vector<j>(), signs)); });
            });
        });
    }
};

struct IQ2_XS : Traits<256, 74, 16, 256, 0, IQ2_OFFSET, 2 * IQ2_OFFSET> {
    static constexpr bool BLOCK_SCALE = true;
    using Book = decltype(Codebooks::iq2_xs);
    // Bytes 0 and 2 of each lane of a, then of b.
    template <int N, class V = Vec> MOE_INLINE static I bytes_of(I a, I b) {
        if constexpr (V::VBMI) {
            return V::template odd_bytes<N>(a, b);
        } else {
            const auto two = [](I v) MOE_INLINED {
                const I shifted = N == 0 ? v : V::template srl<8 * (N == 0 ? 1 : N)>(v);
                const I bytes = V::and_(shifted, V::set32(0x00ff00ff));
                return V::and_(V::or_(bytes, V::template srl<8>(bytes)), V::set32(0xffff));
            };
            return V::or_(two(a), V::template sll<16>(two(b)));
        }
    }
    template <class O> MOE_INLINE static void block(const Rows & p, O & o) {
        I end[4];
        o.put_block_scale(Vec::mul(Vec::rows_half(p, 0), Vec::setf(0.125f)));
        Vec::rows16(p, 58, end);  // the last of the indices; scales
        steps<2>([&](auto i) MOE_STEP {
            put_odd_scales4(o, 8 * i, 2, nib_lo(end[2 + i]));
            put_odd_scales4(o, 8 * i + 1, 2, nib_hi(end[2 + i]));
        });
        steps<4>([&](auto c) MOE_STEP {  // 64 columns
            I v[4];
            Vec::rows16(p, 2 + 16 * c, v);  // 16 bits: an index of nine, and seven signs
            steps<2>([&](auto h) MOE_STEP {
                const I high = bytes_of<1>(v[2 * h], v[2 * h + 1]);
                const I signs = with_eighth_sign(Vec::srl<1>(high));
                Codes<Book> codes(g_codebooks.iq2_xs, bytes_of<0>(v[2 * h], v[2 * h + 1]), high);
                steps<8>([&](auto j) MOE_STEP { o.put(16 * c + 8 * h + j, weights<Book, j>(IQ2_WEIGHTS, codes.template vector<j>(), signs)); });
            });
        });
    }
};

struct IQ2_S : Traits<256, 82, 16, 256, 0, IQ2_OFFSET, 2 * IQ2_OFFSET> {
    static constexpr bool BLOCK_SCALE = true;
    using Book = decltype(Codebooks::iq2_s);
    template <class O> MOE_INLINE static void block(const Rows & p, O & o) {
        I end[4];
        o.put_block_scale(Vec::mul(Vec::rows_half(p, 0), Vec::setf(0.125f)));
        Vec::rows16(p, 66, end);  // high bits of the indices; scales
        steps<2>([&](auto i) MOE_STEP {
            put_odd_scales4(o, 8 * i, 2, nib_lo(end[2 + i]));
            put_odd_scales4(o, 8 * i + 1, 2, nib_hi(end[2 + i]));
        });
        steps<2>([&](auto n) MOE_STEP {  // 128 columns
            I index[4], signs[4];
            Vec::rows16(p, 2 + 16 * n, index);
            Vec::rows16(p, 34 + 16 * n, signs);
            steps<4>([&](auto i) MOE_STEP {
                Codes<Book> codes(g_codebooks.iq2_s, index[i], spread<2, 8 * i>(end[n]));
                steps<8>([&](auto j) MOE_STEP { o.put(32 * n + 8 * i + j, weights<Book, j>(IQ2_WEIGHTS, codes.template vector<j>(), signs[i])); });
            });
        });
    }
};

struct IQ1_S : Traits<256, 50, 32, 256, 0, IQ1_OFFSET, 2 * IQ1_OFFSET> {
    static constexpr bool BLOCK_SCALE = true;
    using Book = decltype(Codebooks::iq1);
    template <class O> MOE_INLINE static void block(const Rows & p, O & o) {
        I high[4];
        o.put_block_scale(Vec::mul(Vec::rows_half(p, 0), Vec::setf(0.125f)));
        Vec::rows16(p, 34, high);  // 16 bits of 32 columns: three of each index, the scale, the sign
        steps<2>([&](auto n) MOE_STEP {
            I index[4];
            Vec::rows16(p, 2 + 16 * n, index);
            steps<4>([&](auto i) MOE_STEP {
                constexpr int g = 4 * n + i, at = g % 2 * 16;
                const I bits = high[g / 2];
                o.put_whole_scale(g, Vec::or_(Vec::and_(Vec::srl<at + 11>(bits), Vec::set32(0x0e)), Vec::set32(1)));
                const I sign = Vec::all_bytes<0>(Vec::srl<at + 12>(bits));  // at bit 3, with those of the scale below it
                Codes<Book> codes(g_codebooks.iq1, index[i], spread<3, at>(bits));
                steps<8>([&](auto j) MOE_STEP { o.put(8 * g + j, weights<Book>(IQ1_WEIGHTS, codes.template vector<j>(), sign)); });
            });
        });
    }
};

struct IQ1_M : Traits<256, 56, 16, 256, 0, IQ1_OFFSET, 2 * IQ1_OFFSET> {
    static constexpr bool BLOCK_SCALE = true;
    using Book = decltype(Codebooks::iq1);
    // Of groups g to g + 3 the scales, 2 * S + 1: three bits each, from bit From of v on.
    template <int From, class O> MOE_INLINE static void put_scales(O & o, int g, I v) {
        const I s = Vec::and_(spread<3, From>(v), Vec::set8(0x07));
        put_odd_scales4(o, g, 1, s);
    }
    // The half-precision number whose four bits are the upper ones of each 16 of these lanes.
    MOE_INLINE static F scale_of(I a, I b) {
        const I low  = Vec::or_(Vec::and_(Vec::srl<12>(a), Vec::set32(0x000f)), Vec::and_(Vec::srl<24>(a), Vec::set32(0x00f0)));
        const I high = Vec::or_(Vec::and_(Vec::srl<4>(b), Vec::set32(0x0f00)), Vec::and_(Vec::srl<16>(b), Vec::set32(0xf000)));
        return Vec::half_lo(Vec::or_(low, high));
    }
    template <class O> MOE_INLINE static void block(const Rows & p, O & o) {
        I high[4], end[4];
        Vec::rows16(p, 32, high);  // four bits of each index: three above the lower eight, and a sign
        Vec::rows16(p, 40, end);   // the last of them; scales
        o.put_block_scale(Vec::mul(scale_of(end[2], end[3]), Vec::setf(0.125f)));
        steps<2>([&](auto n) MOE_STEP {
            put_scales<0>(o, 8 * n, end[2 + n]);
            put_scales<16>(o, 8 * n + 4, end[2 + n]);
        });
        steps<2>([&](auto n) MOE_STEP {
            I index[4];
            Vec::rows16(p, 2 * 8 * n, index);
            steps<4>([&](auto i) MOE_STEP {
                constexpr int g = 4 * n + i;
                const I bits = spread<4, g % 2 * 16>(high[g / 2]);
                Codes<Book> codes(g_codebooks.iq1, index[i], bits);
                steps<4>([&](auto part) MOE_STEP {
                    const I sign = Vec::all_bytes<part>(bits);
                    o.put(8 * g + 2 * part, weights<Book>(IQ1_WEIGHTS, codes.template vector<2 * part>(), sign));
                    o.put(8 * g + 2 * part + 1, weights<Book>(IQ1_WEIGHTS, codes.template vector<2 * part + 1>(), sign));
                });
            });
        });
    }
};

}  // namespace MOE_ISA
}  // namespace moe

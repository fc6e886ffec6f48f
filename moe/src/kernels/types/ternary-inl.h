// Unpack traits of weights of one bit, two bits, and three values. Include after unpack-inl.h.
#pragma once

#include <stdint.h>

namespace moe {
namespace MOE_ISA {

// Weights 2 * bit - 1.
struct Q1_0 : Traits<128, 18, 32, 32, 0, 1, 2> {
    template <class O> MOE_INLINE static void block(const Rows & p, O & o) {
        const F d = Vec::rows_half(p, 0);
        I v[4];
        Vec::rows16(p, 2, v);
        steps<4>([&](auto g) MOE_STEP {
            o.put_scale(g, d);
            steps<8>([&](auto j) MOE_STEP { o.put(8 * g + j, Vec::or_bit4<j, 1>(Vec::zero(), v[g])); });
        });
    }
};

// The four pairs of bits of byte N of each lane, each in a byte of its own.
template <int N, class V = Vec> MOE_INLINE I pairs_of(I v) {
    if constexpr (V::VBMI) {
        return V::and_(V::template fields<8 * N, 8 * N + 2, 8 * N + 4, 8 * N + 6>(v), V::set8(0x03));
    } else {
        const I b = byte_at<N>(v), twice = V::or_(b, V::template sll<6>(b));
        return V::and_(V::or_(twice, V::template sll<12>(twice)), V::set8(0x03));
    }
}

struct Q2_0 : Traits<64, 18, 32, 32, 0, 1, 3> {
    template <class O> MOE_INLINE static void block(const Rows & p, O & o) {
        const F d = Vec::rows_half(p, 0);
        o.put_scale(0, d);
        o.put_scale(1, d);
        I v[4];
        Vec::rows16(p, 2, v);
        steps<16>([&](auto kg) MOE_STEP { o.put(kg, pairs_of<kg % 4>(v[kg / 4])); });
    }
};

struct TQ2_0 : Traits<256, 66, 256, 256, 0, 1, 3> {
    template <class O> MOE_INLINE static void block(const Rows & p, O & o) {
        o.put_scale(0, Vec::rows_half(p, 64));
        steps<2>([&](auto n) MOE_STEP {
            I v[8];
            Vec::rows16(p, 32 * n, v);
            Vec::rows16(p, 32 * n + 16, v + 4);
            steps<4>([&](auto quarter) MOE_STEP {
                steps<8>([&](auto j) MOE_STEP { o.put(32 * n + 8 * quarter + j, Vec::and_(shifted<2 * quarter>(v[j]), Vec::set8(0x03))); });
            });
        });
    }

private:
    template <int N> MOE_INLINE static I shifted(I v) {
        if constexpr (N == 0) { return v; } else { return Vec::srl<N>(v); }
    }
};

// A byte holds five digits of base 3 as a fraction of 256: the first is its product with 3, above the byte, and the rest is
// what stays in the byte.
struct TQ1_0 : Traits<256, 54, 256, 256, 0, 1, 2> {
    template <int Digits, int Vectors, class O> MOE_INLINE static void digits(O & o, int kg, I * v) {
        steps<Digits>([&](auto n) MOE_STEP {
            steps<Vectors>([&](auto j) MOE_STEP {
                o.put(kg + Vectors * n + j, Vec::ternary_digit(v[j]));
                v[j] = Vec::add8(Vec::add8(v[j], v[j]), v[j]);
            });
        });
    }
    template <class O> MOE_INLINE static void block(const Rows & p, O & o) {
        I v[8], end[4];
        Vec::rows16(p, 38, end);  // the last of the quants; four bytes of four digits; d
        o.put_scale(0, Vec::half_lo(Vec::srl<16>(end[3])));
        Vec::rows16(p, 0, v);
        Vec::rows16(p, 16, v + 4);
        digits<5, 8>(o, 0, v);
        Vec::rows16(p, 32, v);
        digits<5, 4>(o, 40, v);
        v[0] = Vec::or_(Vec::srl<16>(end[2]), Vec::sll<16>(end[3]));
        digits<4, 1>(o, 60, v);
    }
};

}  // namespace MOE_ISA
}  // namespace moe

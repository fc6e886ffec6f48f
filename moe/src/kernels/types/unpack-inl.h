// Unpack traits: how a block of each quantized type becomes unsigned bytes, scales and minimums.
// Compiled once per instruction set (namespace MOE_ISA); include after vec_*.h.
//
// All types reduce to one primitive: `rows16` reads 16 bytes from each of L rows and transposes them, so that
// one vector holds four consecutive columns of L rows. What remains is bit arithmetic on whole vectors.
#pragma once

#include <stdint.h>

#include <utility>

// The traits are written once and inlined into two users: the panel, and the one-row product.
#define MOE_INLINE __attribute__((always_inline)) inline
#define MOE_INLINED __attribute__((always_inline))  // of a lambda
#if defined(MOE_STEPS_OUT_OF_LINE)
#define MOE_STEP __attribute__((noinline))  // of a lambda that steps() calls: where vectors lie in memory anyway, compiling takes minutes otherwise
#else
#define MOE_STEP MOE_INLINED
#endif
// Loops over vectors held in registers must disappear.
#define MOE_UNROLL _Pragma("GCC unroll 16")

namespace moe {
namespace MOE_ISA {

using I = Vec::I;
using F = Vec::F;
using Rows = Vec::Rows;

constexpr int PANEL_COLS = 256;

// L rows x up to 256 columns, unpacked. Weight = scale[group] * (q - offset) - min[sub]; where a block has a scale of its own
// (BLOCK_SCALE), block_scale * scale[group], or with whole scales (see whole_scales) block_scale * factor[group].
struct Panel {
    alignas(64) uint8_t q[PANEL_COLS / 4][Vec::L * 4];  // [column/4][row][4]
    alignas(64) float   scale[16][Vec::L];              // [group][row]
    alignas(64) uint8_t factor[16][Vec::L * 4];         // [group][row], as Vec::scaled_add takes it
    alignas(64) float   block_scale[Vec::L];            // [row]
    alignas(64) float   min[16][Vec::L];                // [sub][row]
};

// A full-range signed byte is stored + 128 where the dot product takes any u8, and as it is elsewhere.
MOE_INLINE I s8_to_stored(I v) { return Vec::UNSIGNED ? Vec::xor_(v, Vec::set8(0x80)) : v; }

// A trait's `block` gives a sink (`o`) a group's scale before the group's vectors. Of a group, and of each aligned run of
// 2, 4, 8 or 32 vectors within it, the first vector comes before the others and the last after them: sinks sum such runs.
//
// What a trait declares. COLS/BYTES: columns and bytes of one block; GROUP: columns per scale;
// ACT_SCALE: columns per activation scale; MIN_STEP: columns per minimum (0: none); OFFSET: see Panel;
// MAX_U: largest unsigned value (bounds 16-bit accumulation); SIGNED8: uses put_s8; BLOCK_SCALE: scales
// of groups are whole numbers times that of the block, which a block gives with put_block_scale.
template <int Cols, int Bytes, int Group, int ActScale, int MinStep, int Offset, int MaxU, bool Signed8 = false>
struct Traits {
    static constexpr int  COLS = Cols, BYTES = Bytes, GROUP = Group, ACT_SCALE = ActScale, MIN_STEP = MinStep;
    static constexpr bool SIGNED8 = Signed8;
    static constexpr int  OFFSET  = Signed8 ? (Vec::UNSIGNED ? 128 : 0) : Offset;
    static constexpr int  MAX_U    = MaxU;
    static_assert(Signed8 || MaxU <= 127, "the same as signed and as unsigned bytes");
    static constexpr bool BLOCK_SCALE = false;
};

// Whether the sum of a group's products is multiplied by its scale as a whole number, so that a block's groups have one sum
// and become a float once. What is multiplied must fit 16 bits if scaled_add asks for that. Where products are summed in
// fours that is a group's sum; sums of pairs fit anyway, but have no offset in them. (A block's sum fits 32 bits: no type's
// weights and scales make it larger than 128 * 127 * 256 * 128.)
template <class T> constexpr bool whole_scales() {
    const int largest = T::MAX_U - T::OFFSET > T::OFFSET ? T::MAX_U - T::OFFSET : T::OFFSET;
    return T::BLOCK_SCALE && (Vec::DOT ? !Vec::SCALED16 || largest * 127 * T::GROUP <= 32767 : T::OFFSET == 0);
}

// fn(0), fn(1), ... fn(N - 1), with numbers that are known when this is compiled.
template <class Fn, int... i> MOE_INLINE void steps(Fn fn, std::integer_sequence<int, i...>) { (fn(std::integral_constant<int, i>()), ...); }
template <int N, class Fn> MOE_INLINE void steps(Fn fn) { steps(fn, std::make_integer_sequence<int, N>()); }

template <int N> inline I byte_at(I v) { return N == 3 ? Vec::srl<24>(v) : Vec::and_(Vec::srl<8 * N>(v), Vec::set32(0xff)); }
template <int N> inline I sbyte_at(I v) { return Vec::sra<24>(Vec::sll<24 - 8 * N>(v)); }
// byte N of each lane less Bias
template <int N, int Bias> MOE_INLINE F byte_scale(I v) {
    const F byte = Vec::cvt(byte_at<N>(v));
    return Bias == 0 ? byte : Vec::add(byte, Vec::setf(-Bias));
}

// Prefetches as many bytes of the next tile as a block of L rows has, evenly between the vectors that the block yields:
// a burst would fill the core's miss buffers and hold up the loads behind it. A tile's rows lie one after another; it is
// read from Vec::AHEAD_STREAMS places at once, at each in address order, because the hardware's own prefetcher runs ahead in
// every page that is read so. Past the last row the address may be unmapped: a prefetch never faults.
template <class T> struct Ahead {
    static constexpr int BYTES = T::BYTES * Vec::L / Vec::AHEAD_STREAMS;  // of each stream, for a block of L rows
    static constexpr int LINES = (T::BYTES * Vec::L + 63) / 64;
    static constexpr int PUTS  = T::COLS / 4;
    const uint8_t * next;   // of the first stream
    size_t          apart;  // bytes from stream to stream

    Ahead(const uint8_t * tile, size_t bytes) : next(tile), apart(bytes / Vec::AHEAD_STREAMS) {}
    // The kg-th vector of the block is ready.
    MOE_INLINE void step(int kg) const {
        MOE_UNROLL
        for (int i = kg * LINES / PUTS; i < (kg + 1) * LINES / PUTS; ++i) {
            Vec::prefetch(next + size_t(i % Vec::AHEAD_STREAMS) * apart + i / Vec::AHEAD_STREAMS * 64);
        }
    }
    void next_block() { next += BYTES; }
};

// Receives what a trait unpacks and stores it in a panel; kg0: the block's first vector in it.
template <class T> struct PanelSink {
    Panel &  pn;
    int      kg0;
    Ahead<T> ahead;
    MOE_INLINE void put(int kg, I v) {
        ahead.step(kg);
        Vec::store(pn.q[kg0 + kg], v);
    }
    MOE_INLINE void put_s8(int kg, I v) { put(kg, s8_to_stored(v)); }
    // v times s, of Vec::factor, which stays within a byte.
    MOE_INLINE void put_scaled(int kg, I v, I s) { put(kg, Vec::scaled(v, s)); }
    MOE_INLINE void put_scale(int g, F v) { Vec::storef(pn.scale[kg0 / (T::GROUP / 4) + g], v); }
    // The scale of group g: byte N of each lane of v less Bias.
    template <int N, int Bias> MOE_INLINE void put_byte_scale(int g, I v) {
        if constexpr (whole_scales<T>()) {
            Vec::store(pn.factor[g], Vec::factor<N, Bias>(v));
        } else {
            put_scale(g, byte_scale<N, Bias>(v));
        }
    }
    // The scale of group g: the number in each lane of v.
    template <class V = Vec> MOE_INLINE void put_whole_scale(int g, I v) {
        if constexpr (whole_scales<T>()) {
            V::store(pn.factor[g], V::to_factor(v));
        } else {
            put_scale(g, V::cvt(v));
        }
    }
    MOE_INLINE void put_block_scale(F d) {
        static_assert(T::COLS == PANEL_COLS, "one per panel");
        Vec::storef(pn.block_scale, d);
    }
    // The minimum is v * d; d is the same for the whole block.
    MOE_INLINE void put_min(int g, F v, F d) { Vec::storef(pn.min[kg0 / (T::MIN_STEP ? T::MIN_STEP / 4 : 1) + g], Vec::mul(d, v)); }
};

inline I nib_lo(I v) { return Vec::and_(v, Vec::set8(0x0f)); }
inline I nib_hi(I v) { return Vec::srl8<4>(v); }
// bit `From` of every byte, at bit `To`
template <int From, int To> inline I bit_to(I v) {
    const I mask = Vec::set8(1 << To);
    if constexpr (From > To) {
        return Vec::and_(Vec::srl<From - To>(v), mask);
    } else if constexpr (From < To) {
        return Vec::and_(Vec::sll<To - From>(v), mask);
    } else {
        return Vec::and_(v, mask);
    }
}

struct Q8_0 : Traits<32, 34, 32, 32, 0, 0, 128, true> {
    template <class O> MOE_INLINE static void block(const Rows & p, O & o) {
        o.put_scale(0, Vec::rows_half(p, 0));
        I v[4];
        MOE_UNROLL
        for (int h = 0; h < 2; ++h) {
            Vec::rows16(p, 2 + 16 * h, v);
            MOE_UNROLL
            for (int j = 0; j < 4; ++j) { o.put_s8(4 * h + j, v[j]); }
        }
    }
};

struct Q4_0 : Traits<32, 18, 32, 32, 0, 8, 15> {
    template <class O> MOE_INLINE static void block(const Rows & p, O & o) {
        o.put_scale(0, Vec::rows_half(p, 0));
        I v[4];
        Vec::rows16(p, 2, v);
        MOE_UNROLL
        for (int j = 0; j < 4; ++j) {
            o.put(j, nib_lo(v[j]));
            o.put(4 + j, nib_hi(v[j]));
        }
    }
};

struct Q4_1 : Traits<32, 20, 32, 32, 32, 0, 15> {
    template <class O> MOE_INLINE static void block(const Rows & p, O & o) {
        o.put_scale(0, Vec::rows_half(p, 0));
        o.put_min(0, Vec::rows_half(p, 2), Vec::setf(-1.0f));
        I v[4];
        Vec::rows16(p, 4, v);
        MOE_UNROLL
        for (int j = 0; j < 4; ++j) {
            o.put(j, nib_lo(v[j]));
            o.put(4 + j, nib_hi(v[j]));
        }
    }
};

template <class O> MOE_INLINE void put_five_bits(const I v[4], I h, O & o) {
    o.put(0, Vec::or_bit4<0>(nib_lo(v[0]), h));
    o.put(1, Vec::or_bit4<1>(nib_lo(v[1]), h));
    o.put(2, Vec::or_bit4<2>(nib_lo(v[2]), h));
    o.put(3, Vec::or_bit4<3>(nib_lo(v[3]), h));
    o.put(4, Vec::or_bit4<4>(nib_hi(v[0]), h));
    o.put(5, Vec::or_bit4<5>(nib_hi(v[1]), h));
    o.put(6, Vec::or_bit4<6>(nib_hi(v[2]), h));
    o.put(7, Vec::or_bit4<7>(nib_hi(v[3]), h));
}

struct Q5_0 : Traits<32, 22, 32, 32, 0, 16, 31> {
    template <class O> MOE_INLINE static void block(const Rows & p, O & o) {
        I head[4], v[4];
        Vec::rows16(p, 0, head);  // d, qh, first quants
        o.put_scale(0, Vec::half_lo(head[0]));
        Vec::rows16(p, 6, v);
        put_five_bits(v, Vec::or_(Vec::srl<16>(head[0]), Vec::sll<16>(head[1])), o);
    }
};

struct Q5_1 : Traits<32, 24, 32, 32, 32, 0, 31> {
    template <class O> MOE_INLINE static void block(const Rows & p, O & o) {
        I head[4], v[4];
        Vec::rows16(p, 0, head);  // d and m, qh, first quants
        o.put_scale(0, Vec::half_lo(head[0]));
        o.put_min(0, Vec::half_lo(Vec::srl<16>(head[0])), Vec::setf(-1.0f));
        Vec::rows16(p, 8, v);
        put_five_bits(v, head[1], o);
    }
};

// The 16 values of IQ4_NL and IQ4_XS, and those of MXFP4 doubled (its scale is halved instead) plus 12.
alignas(16) static constexpr int8_t IQ4_VALUES[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
alignas(16) static constexpr int8_t FP4_VALUES[16] = {12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0};

struct IQ4_NL : Traits<32, 18, 32, 32, 0, 0, 128, true> {
    template <class O> MOE_INLINE static void block(const Rows & p, O & o) {
        o.put_scale(0, Vec::rows_half(p, 0));
        I v[4];
        Vec::rows16(p, 2, v);
        MOE_UNROLL
        for (int j = 0; j < 4; ++j) {
            o.put_s8(j, Vec::lookup16(IQ4_VALUES, nib_lo(v[j])));
            o.put_s8(4 + j, Vec::lookup16(IQ4_VALUES, nib_hi(v[j])));
        }
    }
};

struct MXFP4 : Traits<32, 17, 32, 32, 0, 12, 24> {
    template <class O> MOE_INLINE static void block(const Rows & p, O & o) {
        I head[4], v[4];
        Vec::rows16(p, 0, head);  // the exponent, first quants
        // 2^(e-127), halved because the values are doubled. From e = 2 on its bits are (e-1) << 23; of 0 and 1, which give
        // subnormal numbers, (e+1) << 21: always the larger of the two.
        const I e = byte_at<0>(head[0]);
        const I normal = Vec::sub(Vec::sll<23>(e), Vec::set32(1u << 23)), subnormal = Vec::sll<21>(Vec::add(e, Vec::set32(1)));
        o.put_scale(0, Vec::cast(Vec::max(normal, subnormal)));
        Vec::rows16(p, 1, v);
        MOE_UNROLL
        for (int j = 0; j < 4; ++j) {
            o.put(j, Vec::lookup16(FP4_VALUES, nib_lo(v[j])));
            o.put(4 + j, Vec::lookup16(FP4_VALUES, nib_hi(v[j])));
        }
    }
};

struct NVFP4 : Traits<64, 36, 16, 32, 0, 12, 24> {
    // The number of 4 bits of exponent (less 7) and 3 of fraction in v, halved because the values are doubled. From exponent 1
    // on its bits are those of a float, shifted; below, as if it were 1, less what is missing to 8.
    static F scale(I v) {
        const I normal = Vec::max(v, Vec::set32(8));
        const F value  = Vec::cast(Vec::add(Vec::sll<20>(normal), Vec::set32(119u << 23)));
        return Vec::fma(Vec::cvt(Vec::sub(v, normal)), Vec::setf(1.0f / 1024), value);
    }
    template <class O> MOE_INLINE static void block(const Rows & p, O & o) {
        I head[4], v[8];
        Vec::rows16(p, 0, head);
        Vec::rows16(p, 4, v);
        Vec::rows16(p, 20, v + 4);
        const I d = Vec::and_(Vec::unless8(head[0], 0x7f), Vec::set8(0x7f));  // which stands for no number
        o.put_scale(0, scale(byte_at<0>(d)));
        o.put_scale(1, scale(byte_at<1>(d)));
        o.put_scale(2, scale(byte_at<2>(d)));
        o.put_scale(3, scale(byte_at<3>(d)));
        MOE_UNROLL
        for (int s = 0; s < 4; ++s) {
            o.put(4 * s, Vec::lookup16(FP4_VALUES, nib_lo(v[2 * s])));
            o.put(4 * s + 1, Vec::lookup16(FP4_VALUES, nib_lo(v[2 * s + 1])));
            o.put(4 * s + 2, Vec::lookup16(FP4_VALUES, nib_hi(v[2 * s])));
            o.put(4 * s + 3, Vec::lookup16(FP4_VALUES, nib_hi(v[2 * s + 1])));
        }
    }
};

struct IQ4_XS : Traits<256, 136, 32, 256, 0, 0, 128, true> {
    static constexpr bool BLOCK_SCALE = true;
    // byte j: bits 4j + S and the next of the lane's upper half, at bits 4 and 5
    template <int S> MOE_INLINE static I high_bits(I v) {
        const I low  = Vec::or_(Vec::and_(Vec::srl<12 + S>(v), Vec::set32(0x30)), Vec::and_(Vec::srl<8 + S>(v), Vec::set32(0x3000)));
        const I high = Vec::or_(Vec::and_(Vec::srl<4 + S>(v), Vec::set32(0x300000)), Vec::and_(S == 0 ? v : Vec::srl<S>(v), Vec::set32(0x30000000)));
        return Vec::or_(low, high);
    }
    template <int B, class O> MOE_INLINE static void sub_block(const Rows & p, O & o, I scales) {
        o.template put_byte_scale<B / 2, 32>(B, scales);
        I v[4];
        Vec::rows16(p, 8 + 16 * B, v);
        MOE_UNROLL
        for (int j = 0; j < 4; ++j) {
            o.put_s8(8 * B + j, Vec::lookup16(IQ4_VALUES, nib_lo(v[j])));
            o.put_s8(8 * B + 4 + j, Vec::lookup16(IQ4_VALUES, nib_hi(v[j])));
        }
    }
    template <class O> MOE_INLINE static void block(const Rows & p, O & o) {
        I head[4];
        Vec::rows16(p, 0, head);  // d and scales_h, scales_l, first quants
        o.put_block_scale(Vec::half_lo(head[0]));
        const I even = Vec::or_(nib_lo(head[1]), high_bits<0>(head[0]));  // scales of sub-blocks 0, 2, 4 and 6, plus 32
        const I odd  = Vec::or_(nib_hi(head[1]), high_bits<2>(head[0]));
        sub_block<0>(p, o, even);
        sub_block<1>(p, o, odd);
        sub_block<2>(p, o, even);
        sub_block<3>(p, o, odd);
        sub_block<4>(p, o, even);
        sub_block<5>(p, o, odd);
        sub_block<6>(p, o, even);
        sub_block<7>(p, o, odd);
    }
};

template <int Bias, class O> MOE_INLINE void put_scales4(O & o, int g, I v) {
    o.template put_byte_scale<0, Bias>(g + 0, v);
    o.template put_byte_scale<1, Bias>(g + 1, v);
    o.template put_byte_scale<2, Bias>(g + 2, v);
    o.template put_byte_scale<3, Bias>(g + 3, v);
}
template <class O> MOE_INLINE void put_sscales4(O & o, int g, I v) {  // signed bytes
    o.put_whole_scale(g + 0, sbyte_at<0>(v));
    o.put_whole_scale(g + 1, sbyte_at<1>(v));
    o.put_whole_scale(g + 2, sbyte_at<2>(v));
    o.put_whole_scale(g + 3, sbyte_at<3>(v));
}
template <class O> MOE_INLINE void put_mins4(O & o, int g, I v, F d) {
    o.put_min(g + 0, Vec::cvt(byte_at<0>(v)), d);
    o.put_min(g + 1, Vec::cvt(byte_at<1>(v)), d);
    o.put_min(g + 2, Vec::cvt(byte_at<2>(v)), d);
    o.put_min(g + 3, Vec::cvt(byte_at<3>(v)), d);
}
// The minimum of groups g..g+3 where the weights are stored with an offset: d * scale * offset less than the block's own.
template <int Offset, class O> MOE_INLINE void put_mins4(O & o, int g, I mins, F dmin, I scales, F d) {
    if constexpr (Offset == 0) { return put_mins4(o, g, mins, dmin); }
    const F one = Vec::setf(1.0f), off = Vec::mul(d, Vec::setf(Offset));
    o.put_min(g + 0, Vec::fnma(off, Vec::cvt(byte_at<0>(scales)), Vec::mul(dmin, Vec::cvt(byte_at<0>(mins)))), one);
    o.put_min(g + 1, Vec::fnma(off, Vec::cvt(byte_at<1>(scales)), Vec::mul(dmin, Vec::cvt(byte_at<1>(mins)))), one);
    o.put_min(g + 2, Vec::fnma(off, Vec::cvt(byte_at<2>(scales)), Vec::mul(dmin, Vec::cvt(byte_at<2>(mins)))), one);
    o.put_min(g + 3, Vec::fnma(off, Vec::cvt(byte_at<3>(scales)), Vec::mul(dmin, Vec::cvt(byte_at<3>(mins)))), one);
}

// The 16-byte head of Q4_K and Q5_K: d, dmin, and eight 6-bit (scale, minimum) pairs.
template <int Offset, class O> MOE_INLINE void put_k_head(const Rows & p, O & o) {
    I h[4];
    Vec::rows16(p, 0, h);
    const F d = Vec::half_lo(h[0]), dmin = Vec::half_lo(Vec::srl<16>(h[0]));
    const I six = Vec::set8(0x3f), top = Vec::set8(0x30);
    const I scales[2] = {Vec::and_(h[1], six), Vec::or_(nib_lo(h[3]), Vec::and_(Vec::srl<2>(h[1]), top))};
    const I mins[2]   = {Vec::and_(h[2], six), Vec::or_(nib_hi(h[3]), Vec::and_(Vec::srl<2>(h[2]), top))};
    o.put_block_scale(d);
    MOE_UNROLL
    for (int i = 0; i < 2; ++i) {
        put_scales4<0>(o, 4 * i, scales[i]);
        put_mins4<Offset>(o, 4 * i, mins[i], dmin, scales[i], d);
    }
}

// Less eight where that makes the sum of a group's products fit 16 bits, so that it can be multiplied by the whole scale.
struct Q4_K : Traits<256, 144, 32, 256, 32, Vec::DOT && Vec::SCALED16 ? 8 : 0, 15> {
    static constexpr bool BLOCK_SCALE = true;
    template <class O> MOE_INLINE static void block(const Rows & p, O & o) {
        put_k_head<OFFSET>(p, o);
        MOE_UNROLL
        for (int c = 0; c < 8; ++c) {  // 16 bytes: half of sub-block 2*(c/2) in the low nibbles, of the next in the high
            I v[4];
            Vec::rows16(p, 16 + 16 * c, v);
            const int kg = 16 * (c / 2) + 4 * (c % 2);
            MOE_UNROLL
            for (int j = 0; j < 4; ++j) {
                o.put(kg + j, nib_lo(v[j]));
                o.put(kg + 8 + j, nib_hi(v[j]));
            }
        }
    }
};

struct Q5_K : Traits<256, 176, 32, 256, 32, 0, 31> {
    static constexpr bool BLOCK_SCALE = true;
    template <int C, class O> MOE_INLINE static void chunk(const Rows & p, O & o, const I h[8]) {
        MOE_UNROLL
        for (int half = 0; half < 2; ++half) {
            I v[4];
            Vec::rows16(p, 48 + 32 * C + 16 * half, v);
            const int kg = 16 * C + 4 * half;
            MOE_UNROLL
            for (int j = 0; j < 4; ++j) {
                o.put(kg + j, Vec::or_(nib_lo(v[j]), bit_to<2 * C, 4>(h[4 * half + j])));
                o.put(kg + 8 + j, Vec::or_(nib_hi(v[j]), bit_to<2 * C + 1, 4>(h[4 * half + j])));
            }
        }
    }
    template <class O> MOE_INLINE static void block(const Rows & p, O & o) {
        put_k_head<OFFSET>(p, o);
        I h[8];
        Vec::rows16(p, 16, h);
        Vec::rows16(p, 32, h + 4);
        chunk<0>(p, o, h);
        chunk<1>(p, o, h);
        chunk<2>(p, o, h);
        chunk<3>(p, o, h);
    }
};

struct Q6_K : Traits<256, 210, 16, 256, 0, 32, 63> {
    static constexpr bool BLOCK_SCALE = true;
    template <class O> MOE_INLINE static void block(const Rows & p, O & o) {
        I sc[4];
        Vec::rows16(p, 192, sc);
        o.put_block_scale(Vec::rows_half(p, 208));
        MOE_UNROLL
        for (int j = 0; j < 4; ++j) { put_sscales4(o, 4 * j, sc[j]); }
        const I two = Vec::set8(0x30);
        MOE_UNROLL
        for (int n = 0; n < 2; ++n) {
            MOE_UNROLL
            for (int c = 0; c < 2; ++c) {  // columns 16c..16c+15 of the four 32-column quarters
                I a[4], b[4], h[4];
                Vec::rows16(p, 64 * n + 16 * c, a);
                Vec::rows16(p, 64 * n + 32 + 16 * c, b);
                Vec::rows16(p, 128 + 32 * n + 16 * c, h);
                const int kg = 32 * n + 4 * c;
                MOE_UNROLL
                for (int j = 0; j < 4; ++j) {
                    o.put(kg + j, Vec::or_(nib_lo(a[j]), Vec::and_(Vec::sll<4>(h[j]), two)));
                    o.put(kg + 8 + j, Vec::or_(nib_lo(b[j]), Vec::and_(Vec::sll<2>(h[j]), two)));
                    o.put(kg + 16 + j, Vec::or_(nib_hi(a[j]), Vec::and_(h[j], two)));
                    o.put(kg + 24 + j, Vec::or_(nib_hi(b[j]), Vec::and_(Vec::srl<2>(h[j]), two)));
                }
            }
        }
    }
};

// The 4-bit sub-block scale (at most 15) times the 2-bit weight (at most 3) is 45 at most and fits a byte: one group
// spans the whole super-block.
struct Q2_K : Traits<256, 84, 256, 256, 16, 0, 45> {
    template <int S, class O> MOE_INLINE static void quarter(O & o, int kg, const I q[4], I scale) {
        MOE_UNROLL
        for (int j = 0; j < 4; ++j) { o.put_scaled(kg + j, Vec::and_(Vec::srl<2 * S>(q[j]), Vec::set8(0x03)), scale); }
    }
    // 16 bytes: columns 16*C..16*C+15 of the four 32-column quarters of half N; lo, hi: their eight scales.
    template <int N, int C, class O> MOE_INLINE static void chunk(const Rows & p, O & o, I lo, I hi) {
        I q[4];
        Vec::rows16(p, 16 + 32 * N + 16 * C, q);
        quarter<0>(o, 32 * N + 4 * C, q, Vec::factor<C, 0>(lo));
        quarter<1>(o, 32 * N + 4 * C + 8, q, Vec::factor<2 + C, 0>(lo));
        quarter<2>(o, 32 * N + 4 * C + 16, q, Vec::factor<C, 0>(hi));
        quarter<3>(o, 32 * N + 4 * C + 24, q, Vec::factor<2 + C, 0>(hi));
    }
    template <class O> MOE_INLINE static void block(const Rows & p, O & o) {
        I sc[4], end[4];
        Vec::rows16(p, 0, sc);
        Vec::rows16(p, 68, end);  // the last of the quants; then d and dmin
        const F d = Vec::half_lo(end[3]), dmin = Vec::half_lo(Vec::srl<16>(end[3]));
        o.put_scale(0, d);
        MOE_UNROLL
        for (int j = 0; j < 4; ++j) {
            put_mins4(o, 4 * j, nib_hi(sc[j]), dmin);
            sc[j] = nib_lo(sc[j]);
        }
        chunk<0, 0>(p, o, sc[0], sc[1]);
        chunk<0, 1>(p, o, sc[0], sc[1]);
        chunk<1, 0>(p, o, sc[2], sc[3]);
        chunk<1, 1>(p, o, sc[2], sc[3]);
    }
};

struct Q3_K : Traits<256, 110, 16, 256, 0, 4, 7> {
    static constexpr bool BLOCK_SCALE = true;
    template <int N, int S, class O> MOE_INLINE static void quarter(O & o, const I q[8], const I h[8]) {
        MOE_UNROLL
        for (int j = 0; j < 8; ++j) {
            const I lo = Vec::and_(Vec::srl<2 * S>(q[j]), Vec::set8(0x03));
            o.put(32 * N + 8 * S + j, Vec::or_(lo, bit_to<4 * N + S, 2>(h[j])));
        }
    }
    template <int N, class O> MOE_INLINE static void half(const Rows & p, O & o, const I h[8]) {
        I q[8];
        Vec::rows16(p, 32 + 32 * N, q);
        Vec::rows16(p, 48 + 32 * N, q + 4);
        quarter<N, 0>(o, q, h);
        quarter<N, 1>(o, q, h);
        quarter<N, 2>(o, q, h);
        quarter<N, 3>(o, q, h);
    }
    template <class O> MOE_INLINE static void block(const Rows & p, O & o) {
        I t[4];
        // scales at 96..107, d at 108: read from 94 so as not to pass the end of the block
        Vec::rows16(p, 94, t);
        const I a = Vec::or_(Vec::srl<16>(t[0]), Vec::sll<16>(t[1]));
        const I b = Vec::or_(Vec::srl<16>(t[1]), Vec::sll<16>(t[2]));
        const I c = Vec::or_(Vec::srl<16>(t[2]), Vec::sll<16>(t[3]));
        o.put_block_scale(Vec::half_lo(Vec::srl<16>(t[3])));
        const I top = Vec::set8(0x30);
        const I six[4] = {Vec::or_(nib_lo(a), Vec::and_(Vec::sll<4>(c), top)), Vec::or_(nib_lo(b), Vec::and_(Vec::sll<2>(c), top)),
                          Vec::or_(nib_hi(a), Vec::and_(c, top)), Vec::or_(nib_hi(b), Vec::and_(Vec::srl<2>(c), top))};
        MOE_UNROLL
        for (int j = 0; j < 4; ++j) { put_scales4<32>(o, 4 * j, six[j]); }
        I h[8];
        Vec::rows16(p, 0, h);
        Vec::rows16(p, 16, h + 4);
        half<0>(p, o, h);
        half<1>(p, o, h);
    }
};

}  // namespace MOE_ISA
}  // namespace moe

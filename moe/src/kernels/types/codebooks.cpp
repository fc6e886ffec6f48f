#include "codebooks.h"

#include <cmath>
#include <cstring>
#include <mutex>
#include <vector>

#include "ggml.h"

namespace moe {

Codebooks g_codebooks;

namespace {

constexpr int COLUMNS = 256;  // of a block of every IQ type with a codebook

// A type whose blocks tell what an index stands for. All else in the block is zero: the smallest scale, no signs.
struct Source {
    ggml_type type;
    float unit;   // that smallest scale: by what a block's numbers are more than the codebook's
    float shift;  // what they are more then
    void (*write)(uint8_t * block, int at, int index);  // the at-th index of a block
};

void write_byte(uint8_t * block, int at, int index) { block[2 + at] = static_cast<uint8_t>(index); }
// four bytes of indices, and four of signs and the scale
void write_iq2_xxs(uint8_t * block, int at, int index) { block[2 + at / 4 * 8 + at % 4] = static_cast<uint8_t>(index); }
void write_iq2_xs(uint8_t * block, int at, int index) {
    block[2 + 2 * at] = static_cast<uint8_t>(index);
    block[3 + 2 * at] = static_cast<uint8_t>(index >> 8);
}
void write_iq2_s(uint8_t * block, int at, int index) {
    write_byte(block, at, index);
    block[66 + at / 4] = static_cast<uint8_t>(block[66 + at / 4] | (index >> 8) << (at % 4 * 2));
}
void write_iq3_s(uint8_t * block, int at, int index) {
    write_byte(block, at, index);
    block[66 + at / 8] = static_cast<uint8_t>(block[66 + at / 8] | (index >> 8) << (at % 8));
}
void write_iq1_s(uint8_t * block, int at, int index) {
    write_byte(block, at, index);
    uint8_t * high = block + 34 + at / 4 * 2;
    const int bits = high[0] | high[1] << 8 | (index >> 8) << (at % 4 * 3);
    high[0] = static_cast<uint8_t>(bits);
    high[1] = static_cast<uint8_t>(bits >> 8);
}

// What all indices stand for, in order.
std::vector<float> dequantized(const Source & s, int entries, int columns) {
    const int per_block = COLUMNS / columns;
    std::vector<uint8_t> block(ggml_type_size(s.type));
    std::vector<float> values(static_cast<size_t>(entries) * static_cast<size_t>(columns));
    for (int first = 0; first < entries; first += per_block) {
        std::memset(block.data(), 0, block.size());
        const ggml_fp16_t one = ggml_fp32_to_fp16(1.0f);
        std::memcpy(block.data(), &one, sizeof one);
        for (int i = 0; i < per_block; ++i) { s.write(block.data(), i, first + i); }
        ggml_get_type_traits(s.type)->to_float(block.data(), &values[static_cast<size_t>(first * columns)], COLUMNS);
    }
    for (float & v : values) { v = v / s.unit - s.shift; }
    return values;
}

template <int N> uint32_t level_of(float value, const int (&levels)[N]) {
    uint32_t nearest = 0;
    for (uint32_t i = 1; i < N; ++i) {
        if (std::fabs(value - float(levels[i])) < std::fabs(value - float(levels[nearest]))) { nearest = i; }
    }
    return nearest;
}

// Of what the levels stand for, what is kept as a byte: `unit` times that, plus `offset`.
template <int Entries, int Columns, int N>
void fill(Codebook<Entries, Columns> & book, const Source & s, const int (&levels)[N], int unit = 1, int offset = 0) {
    constexpr int half = Columns / 2, bits = 8 / half;
    static_assert(N <= 1 << (Columns == 4 ? 3 : 2), "the bit above a level is for the sign");
    const std::vector<float> values = dequantized(s, Entries, Columns);
    for (int e = 0; e < Entries; ++e) {
        uint64_t columns = 0;
        uint32_t word = 0, halves[2] = {0, 0};  // GCC 12 with -O3 loses bits of bytes that are put together in the table
        for (int c = 0; c < Columns; ++c) {
            const uint32_t level = level_of(values[static_cast<size_t>(e * Columns + c)], levels);
            columns |= uint64_t(unit * levels[level] + offset) << (8 * c);
            word |= level << (c % 4 * 8 + c / 4 * 4);
            halves[c / half] |= level << (c % half * bits);
        }
        book.columns[e] = static_cast<std::decay_t<decltype(book.columns[e])>>(columns);
        book.words[e] = word;
        book.halves[0][e] = static_cast<uint8_t>(halves[0]);
        book.halves[1][e] = static_cast<uint8_t>(halves[1]);
    }
}

}  // namespace

void fill_codebooks() {
    static std::once_flag once;
    std::call_once(once, [] {
        fill(g_codebooks.iq2_xxs, {GGML_TYPE_IQ2_XXS, 0.125f, 0.0f, write_iq2_xxs}, IQ2_LEVELS);
        fill(g_codebooks.iq2_xs, {GGML_TYPE_IQ2_XS, 0.125f, 0.0f, write_iq2_xs}, IQ2_LEVELS);
        fill(g_codebooks.iq2_s, {GGML_TYPE_IQ2_S, 0.125f, 0.0f, write_iq2_s}, IQ2_LEVELS);
        fill(g_codebooks.iq3_xxs, {GGML_TYPE_IQ3_XXS, 0.25f, 0.0f, write_byte}, IQ3_XXS_LEVELS);
        fill(g_codebooks.iq3_s, {GGML_TYPE_IQ3_S, 1.0f, 0.0f, write_iq3_s}, IQ3_SLEVELS);
        fill(g_codebooks.iq1, {GGML_TYPE_IQ1_S, 1.0f, 0.125f, write_iq1_s}, IQ1_LEVELS, 8, 9);
    });
}

}  // namespace moe

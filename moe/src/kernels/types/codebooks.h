// The codebooks of the IQ types, in the forms that kernels look them up in.
//
// What an index stands for is asked of ggml, which dequantizes a block of every index: the tables are nowhere in its public
// headers, and are not repeated here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace moe {

// Indices stand for the magnitudes of 4 or 8 columns (in IQ1: for their values), of which there are few: a *level* is the
// place of one among them.
template <int Entries, int Columns> struct Codebook {
    static constexpr int ENTRIES = Entries, COLUMNS = Columns;
    // Byte i: the level of column i; of eight columns, that of column 4 + i is in its upper half.
    alignas(64) uint32_t words[Entries];
    // Those of the first half of the columns, and of the second, in a byte each: two of four bits, or four of two.
    alignas(64) uint8_t halves[2][Entries];
    // Byte i: the magnitude of column i; in IQ1 an offset of 9 plus its value, in eighths.
    alignas(64) std::conditional_t<Columns == 8, uint64_t, uint32_t> columns[Entries];
};

struct Codebooks {
    Codebook<256, 8>  iq2_xxs;
    Codebook<512, 8>  iq2_xs;
    Codebook<1024, 8> iq2_s;
    Codebook<256, 4>  iq3_xxs;
    Codebook<512, 4>  iq3_s;
    Codebook<2048, 8> iq1;
};

// What its levels stand for.
constexpr int IQ1_LEVELS[]    = {-1, 0, 1};
constexpr int IQ2_LEVELS[]    = {8, 25, 43};
constexpr int IQ3_XXS_LEVELS[] = {4, 12, 20, 28, 36, 44, 52, 62};
constexpr int IQ3_SLEVELS[]   = {1, 3, 5, 7, 9, 11, 13, 15};

// Complete once fill_codebooks() has returned, which a kernel table that needs them calls when it is made.
extern Codebooks g_codebooks;
void fill_codebooks();

}  // namespace moe

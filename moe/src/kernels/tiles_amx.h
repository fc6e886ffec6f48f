// AMX's tile registers, as far as the products of bytes need them.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace moe {
namespace MOE_ISA {

// One product of AMX: sums[16 rows][16] += a[rows][bytes] * b[bytes / 4][16][4], signed bytes.
//
// As assembly: GCC 12's intrinsics do not say what memory they read. Nothing else in the program uses these registers.
class Tiles {
public:
    // rows: of a and the sums, at most 16; bytes: of a row of a, at most 64, a multiple of 4
    Tiles(int rows, int bytes) {
        struct alignas(64) Shapes {
            uint8_t  palette = 1, start = 0, reserved[14] = {};
            uint16_t row_bytes[16] = {};
            uint8_t  rows[16]      = {};
        } s;
        s.rows[SUMS] = s.rows[LEFT] = static_cast<uint8_t>(rows);
        s.rows[RIGHT] = static_cast<uint8_t>(bytes / 4);
        s.row_bytes[SUMS] = s.row_bytes[RIGHT] = 64;
        s.row_bytes[LEFT] = static_cast<uint16_t>(bytes);
        __asm__ volatile("ldtilecfg %0" : : "m"(s));
    }
    ~Tiles() { __asm__ volatile("tilerelease"); }
    Tiles(const Tiles &) = delete;
    Tiles & operator=(const Tiles &) = delete;

    void clear() { __asm__ volatile("tilezero %tmm0"); }
    // stride: bytes from row to row of a; b is contiguous
    void multiply(const uint8_t * a, size_t stride, const uint8_t * b) {
        __asm__ volatile(
            "tileloadd (%0,%1,1), %%tmm1\n\t"
            "tileloadd (%2,%3,1), %%tmm2\n\t"
            "tdpbssd %%tmm2, %%tmm1, %%tmm0"
            : : "r"(a), "r"(stride), "r"(b), "r"(size_t{64}) : "memory");
    }
    void store(int32_t (*sums)[16]) {
        __asm__ volatile("tilestored %%tmm0, (%0,%1,1)" : : "r"(sums), "r"(size_t{64}) : "memory");
    }

private:
    static constexpr int SUMS = 0, LEFT = 1, RIGHT = 2;
};

}  // namespace MOE_ISA
}  // namespace moe

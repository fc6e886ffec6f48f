// AMX's product of bytes in plain C++, under the name that kernels/tiles_amx.h gives it.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace moe {
namespace MOE_ISA {

class Tiles {
public:
    Tiles(int rows, int bytes) : rows_(rows), bytes_(bytes) {}

    void clear() { memset(sums_, 0, sizeof sums_); }
    void multiply(const uint8_t * a, size_t stride, const uint8_t * b) {
        for (int row = 0; row < rows_; ++row) {
            for (int k = 0; k < bytes_; ++k) {
                const int x = static_cast<int8_t>(a[size_t(row) * stride + size_t(k)]);
                for (int i = 0; i < 16; ++i) { sums_[row][i] += x * static_cast<int8_t>(b[k / 4 * 64 + i * 4 + k % 4]); }
            }
        }
    }
    void store(int32_t (*sums)[16]) const { memcpy(sums, sums_, size_t(rows_) * sizeof sums_[0]); }

private:
    int     rows_, bytes_;
    int32_t sums_[16][16];
};

}  // namespace MOE_ISA
}  // namespace moe

// The tile product of every weight type and instruction set against double precision, given the very activations that
// the kernel stores: nothing is left to tolerate but the rounding of float sums.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <string>

#include "harness.h"
#include "kernel_tables.h"

using moe::ActKind;
using moe::KernelTable;
using moe::TypeKernel;
using moe_test::weight_types;

namespace {

size_t us(int64_t n) {
    return static_cast<size_t>(n);
}

// Weight rows of one type, each `gap` bytes after the end of the one before, and what they stand for.
struct Weights {
    ggml_type type;
    int rows, k;
    size_t row_bytes, stride;
    std::unique_ptr<Guarded> data;
    std::vector<double> values;  // [rows][k]

    Weights(ggml_type t, int n_rows, int columns, const std::vector<uint8_t> & packed, size_t gap = 0)
        : type(t),
          rows(n_rows),
          k(columns),
          row_bytes(ggml_row_size(t, columns)),
          stride(row_bytes + gap),
          data(std::make_unique<Guarded>(stride * us(n_rows - 1) + row_bytes)),
          values(moe_test::dequantize(t, packed, int64_t(n_rows) * columns)) {
        std::memset(data->data(), 0xee, data->size());
        for (size_t r = 0; r < us(rows); ++r) {
            std::memcpy(data->data() + r * stride, packed.data() + r * row_bytes, row_bytes);
        }
    }
};

// Blocks of random bytes: every combination of bits that a quantizer would rarely choose. Each block has scales of its
// own, of either sign. `fill`: one byte for all that is no scale instead.
std::vector<uint8_t> random_blocks(ggml_type type, int64_t values, uint32_t seed, int fill = -1) {
    std::mt19937 random(seed);
    if (!ggml_is_quantized(type)) {
        return moe_test::quantize(type, moe_test::normals(us(values), seed), values);
    }
    const size_t block = ggml_type_size(type);
    std::vector<uint8_t> bytes(ggml_row_size(type, values));
    for (size_t at = 0; at < bytes.size(); at += block) {
        for (size_t i = 0; i < block; ++i) {
            const uint32_t byte = random();
            bytes[at + i] = static_cast<uint8_t>(fill < 0 ? byte : static_cast<uint32_t>(fill));
        }
        const auto scale = [&] {
            const float s = static_cast<float>(random() % 1000 + 200) / 1000.0f;
            return random() % 3 == 0 ? -s : s;
        };
        if (type == GGML_TYPE_MXFP4) {
            bytes[at] = static_cast<uint8_t>(125 + random() % 5);
        } else if (type == GGML_TYPE_NVFP4) {
            for (size_t i = 0; i < 4; ++i) {
                bytes[at + i] = static_cast<uint8_t>(0x30 + random() % 16);
            }
        } else {
            const float d = scale();
            moe_test::set_scale(type, &bytes[at], d, scale());
        }
    }
    return bytes;
}

// Activation rows as a kernel stores them, each in guarded memory, and the numbers they hold.
struct Rows {
    moe::ActLayout layout;
    std::vector<std::unique_ptr<Guarded>> bytes;
    std::vector<const uint8_t *> pointers;
    std::vector<double> values;  // [n][k]

    Rows(const TypeKernel & kernel, const std::vector<float> & x, int k) : layout(moe::act_layout(kernel.act, k)) {
        for (size_t first = 0; first < x.size(); first += us(k)) {
            bytes.push_back(std::make_unique<Guarded>(us(layout.bytes), 64));
            uint8_t * row = bytes.back()->data();
            kernel.quantize(kernel.act, layout, x.data() + first, row);
            pointers.push_back(row);
            for (int i = 0; i < k; ++i) {
                values.push_back(value(kernel.act, row, i));
            }
        }
    }

private:
    template <class T>
    static T read(const uint8_t * p) {
        T v;
        std::memcpy(&v, p, sizeof v);
        return v;
    }
    double value(const moe::ActFormat & f, const uint8_t * row, int i) const {
        if (f.kind == ActKind::F32) return double(read<float>(row + 4 * i));
        if (f.kind == ActKind::BF16) {
            const uint32_t bits = uint32_t{read<uint16_t>(row + 2 * i)} << 16;
            return double(read<float>(reinterpret_cast<const uint8_t *>(&bits)));
        }
        return double(read<int8_t>(row + i)) * double(read<float>(row + layout.off_d + 4 * (i / f.scale)));
    }
};

// The products of `rows` weight rows, from the first on, with all activation rows.
void check_tile(const KernelTable & table, ggml_type type, const Weights & w, const std::vector<float> & x, int rows,
                const uint8_t * next = nullptr, double slack = 1e-5) {
    const auto index = std::find(weight_types().begin(), weight_types().end(), type) - weight_types().begin();
    const TypeKernel & kernel = table.types[index];
    const Rows activations(kernel, x, w.k);
    const int n = static_cast<int>(activations.pointers.size());
    SCOPED_TRACE(std::string(table.name) + " " + ggml_type_name(type) + " k=" + std::to_string(w.k) +
                 " rows=" + std::to_string(rows) + " n=" + std::to_string(n));

    Guarded acc(us(n) * us(table.tile_rows) * sizeof(float), 64);
    std::fill_n(acc.floats(), us(n) * us(table.tile_rows), NAN);
    moe::TileArgs args;
    args.w = w.data->data() + w.stride * us(w.rows - rows);  // the last ones: nothing lies behind them
    args.stride = w.stride;
    args.rows = rows;
    args.n = n;
    args.x = activations.pointers.data();
    args.layout = activations.layout;
    args.acc = acc.floats();
    args.next = next;
    kernel.tile(args);

    for (int t = 0; t < n; ++t) {
        for (int r = 0; r < rows; ++r) {
            double sum = 0, size = 0;
            for (int i = 0; i < w.k; ++i) {
                const double product =
                    w.values[us(w.rows - rows + r) * us(w.k) + us(i)] * activations.values[us(t) * us(w.k) + us(i)];
                sum += product;
                size += std::abs(product);
            }
            // Sums of activations against minimums are single-precision numbers of the size of the products.
            ASSERT_NEAR(double(acc.floats()[t * table.tile_rows + r]), sum, slack * size + 1e-30)
                << "weight row " << r << ", activation row " << t;
        }
    }
}

Weights random_weights(ggml_type type, int rows, int k, uint32_t seed = 5, size_t gap = 0) {
    return Weights(type, rows, k, random_blocks(type, int64_t(rows) * k, seed), gap);
}
std::vector<float> activations(int n, int k) {
    return moe_test::normals(us(n) * us(k), 7);
}

}  // namespace

TEST(Tiles, EveryNumberOfActivationRows) {
    for (const KernelTable * t : tables()) {
        for (const ggml_type type : weight_types()) {
            const int k = static_cast<int>(moe_test::columns(type, 64));
            const Weights w = random_weights(type, t->tile_rows, k);
            for (int n = 1; n <= 17; ++n) {
                check_tile(*t, type, w, activations(n, k), t->tile_rows);
            }
        }
    }
}
TEST(Tiles, EveryNumberOfWeightRows) {
    for (const KernelTable * t : tables()) {
        for (const ggml_type type : weight_types()) {
            const int k = static_cast<int>(moe_test::columns(type, 64));
            const Weights w = random_weights(type, t->tile_rows, k);
            for (int rows = 1; rows < t->tile_rows; ++rows) {
                check_tile(*t, type, w, activations(1 + rows % 2 * 4, k), rows);
            }
        }
    }
}
// One block, several panels, a panel that is not full; weights with something else between the rows.
TEST(Tiles, EveryNumberOfColumns) {
    for (const KernelTable * t : tables()) {
        for (const ggml_type type : weight_types()) {
            for (int k = 32; k <= 800; k += k < 320 ? 32 : 160) {
                if (k % ggml_blck_size(type) != 0) continue;
                const Weights w = random_weights(type, t->tile_rows, k, static_cast<uint32_t>(k), 30);
                check_tile(*t, type, w, activations(1, k), t->tile_rows);
                check_tile(*t, type, w, activations(5, k), t->tile_rows - 1);
                check_tile(*t, type, w, activations(16, k), t->tile_rows);
            }
        }
    }
}
TEST(Tiles, OddColumnsOfFloatWeights) {
    for (const KernelTable * t : tables()) {
        for (const ggml_type type : {GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_BF16}) {
            for (int k = 1; k <= 70; ++k) {
                const Weights w = random_weights(type, t->tile_rows, k);
                check_tile(*t, type, w, activations(1 + k % 8, k), 1 + k % t->tile_rows);
            }
        }
    }
}
// Where a thread goes on is only a hint, whether that is mapped or not.
TEST(Tiles, TheNextTileChangesNothing) {
    for (const KernelTable * t : tables()) {
        for (const ggml_type type : weight_types()) {
            const int k = static_cast<int>(moe_test::columns(type, 512));
            const Weights w = random_weights(type, t->tile_rows, k);
            for (const int n : {1, 3, 14}) {
                check_tile(*t, type, w, activations(n, k), t->tile_rows, w.data->data());
                check_tile(*t, type, w, activations(n, k), t->tile_rows, w.data->data() + w.data->size());
            }
        }
    }
}

// Weights and scales of all ones and zeros times the largest activations of either sign: every sum that a kernel keeps
// in few bits is as large as it can be.
TEST(Tiles, LargestSums) {
    for (const KernelTable * t : tables()) {
        for (const ggml_type type : weight_types()) {
            if (!ggml_is_quantized(type)) continue;
            const int k = 512, n = 7;
            std::vector<float> x(us(n) * us(k));
            for (size_t i = 0; i < x.size(); ++i) {
                const size_t row = i / us(k);
                x[i] = row == 0 || (row > 1 && i / (row - 1) % 2 == 0) ? 1.0f
                                                                       : -1.0f;  // one sign, or runs of 1 to 5 of each
            }
            for (const int fill : {0x00, 0xff, 0x0f, 0xf0, 0x7f, 0x80}) {
                SCOPED_TRACE("bytes " + std::to_string(fill));
                const Weights w(type, t->tile_rows, k, random_blocks(type, int64_t(t->tile_rows) * k, 9, fill));
                check_tile(*t, type, w, x, t->tile_rows);
                check_tile(*t, type, w, std::vector<float>(x.begin(), x.begin() + k), t->tile_rows);
                check_tile(*t, type, w, std::vector<float>(x.begin() + k, x.begin() + 2 * k), t->tile_rows);
            }
        }
    }
}
// MXFP4's scale is a power of two: exponents 0 and 1 give numbers below the normal ones.
TEST(Tiles, EveryExponent) {
    for (const KernelTable * t : tables()) {
        for (int first = 0; first < 250; first += t->tile_rows) {
            auto packed = random_blocks(GGML_TYPE_MXFP4, int64_t(t->tile_rows) * 32, 3);
            for (int r = 0; r < t->tile_rows; ++r) {
                packed[us(r) * 17] = static_cast<uint8_t>(std::min(first + r, 250));
            }
            const Weights w(GGML_TYPE_MXFP4, t->tile_rows, 32, packed);
            check_tile(*t, GGML_TYPE_MXFP4, w, activations(1, 32), t->tile_rows);
            check_tile(*t, GGML_TYPE_MXFP4, w, activations(2, 32), t->tile_rows);
        }
    }
}
// NVFP4's scales have four bits of exponent and three of fraction. The last of the positive ones is no number, and the
// sign is ignored: ggml's own reading, whatever a file says. Those of one row are of like size.
TEST(Tiles, EveryScaleOfNvfp4) {
    for (const KernelTable * t : tables()) {
        for (int first = 0; first < 256; first += t->tile_rows) {
            auto packed = random_blocks(GGML_TYPE_NVFP4, int64_t(t->tile_rows) * 64, 3);
            for (int r = 0; r < t->tile_rows; ++r) {
                std::memset(&packed[us(r) * 36], std::min(first + r, 255), 4);
            }
            const Weights w(GGML_TYPE_NVFP4, t->tile_rows, 64, packed);
            check_tile(*t, GGML_TYPE_NVFP4, w, activations(1, 64), t->tile_rows);
            check_tile(*t, GGML_TYPE_NVFP4, w, activations(2, 64), t->tile_rows);
        }
    }
}
// Every index of every codebook: blocks of random bytes have few of them.
TEST(Tiles, EveryIndex) {
    struct Case {
        ggml_type type;
        int columns;  // that an index stands for
    };
    for (const KernelTable * t : tables()) {
        for (const Case c : {Case{GGML_TYPE_IQ1_S, 8},
                             {GGML_TYPE_IQ1_M, 8},
                             {GGML_TYPE_IQ2_XXS, 8},
                             {GGML_TYPE_IQ2_XS, 8},
                             {GGML_TYPE_IQ2_S, 8},
                             {GGML_TYPE_IQ3_XXS, 4},
                             {GGML_TYPE_IQ3_S, 4}}) {
            for (uint32_t seed = 0; seed < (c.columns == 8 ? 12u : 4u); ++seed) {
                const Weights w = random_weights(c.type, t->tile_rows, 2048, seed);
                check_tile(*t, c.type, w, activations(1, 2048), t->tile_rows);
                check_tile(*t, c.type, w, activations(2, 2048), t->tile_rows);
            }
        }
    }
}
// Those of one tile are of like size: none is lost beside a larger one.
TEST(Tiles, EveryHalfPrecisionNumber) {
    for (const KernelTable * t : tables()) {
        const int k = 128;
        for (uint32_t first = 0; first < 0x10000; first += uint32_t(t->tile_rows) * k) {
            std::vector<uint8_t> packed(us(t->tile_rows) * k * 2);
            for (size_t i = 0; i < packed.size() / 2; ++i) {
                const auto bits = static_cast<uint16_t>(first + i);
                const uint16_t finite = (bits & 0x7c00) == 0x7c00 ? 0x3c00 : bits;
                std::memcpy(&packed[2 * i], &finite, 2);
            }
            const Weights w(GGML_TYPE_F16, t->tile_rows, k, packed);
            check_tile(*t, GGML_TYPE_F16, w, activations(1, k), t->tile_rows);
        }
    }
}
// The scales of quantized weights, likewise, and the infinite ones: those spread.
TEST(Tiles, EveryKindOfScale) {
    for (const KernelTable * t : tables()) {
        for (const ggml_type type : {GGML_TYPE_Q8_0, GGML_TYPE_Q5_0, GGML_TYPE_Q4_K, GGML_TYPE_Q6_K, GGML_TYPE_IQ1_M,
                                     GGML_TYPE_IQ3_S, GGML_TYPE_TQ1_0}) {
            const int k = 256;
            auto packed = random_blocks(type, int64_t(t->tile_rows) * k, 4);
            const size_t block = ggml_type_size(type);
            const uint16_t kinds[] = {0x0000, 0x8000, 0x0001, 0x8001, 0x03ff, 0x0400, 0x8400, 0x7bff, 0xfbff};
            for (size_t b = 0; b < packed.size() / block; ++b) {
                const float scale = ggml_fp16_to_fp32(kinds[b % std::size(kinds)]);
                moe_test::set_scale(type, &packed[b * block], scale, scale);
            }
            const Weights w(type, t->tile_rows, k, packed);
            check_tile(*t, type, w, activations(1, k), t->tile_rows);
            check_tile(*t, type, w, activations(2, k), t->tile_rows);
        }
    }
}

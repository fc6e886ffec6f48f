// The kernels that work row by row, of every instruction set that this machine has, and how one is chosen.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "harness.h"
#include "kernel_tables.h"
#include "log_catcher.h"

using moe::KernelTable;

namespace {

double sigmoid(double x) {
    return 1.0 / (1.0 + std::exp(-x));
}

double reference(const moe::GluParams & p, double x, double y) {
    const double limit = double(p.limit), clamped = std::min(x, limit), up = std::clamp(y, -limit, limit);
    switch (p.op) {
        case moe::Glu::ReGLU:
            return std::max(x, 0.0) * y;
        case moe::Glu::GeGLU:
            return x * sigmoid(2 * std::sqrt(2 / M_PI) * x * (1 + 0.044715 * x * x)) *
                   y;  // 1 + tanh(z) = 2 sigmoid(2z)
        case moe::Glu::SwiGLU:
            return x * sigmoid(x) * y;
        case moe::Glu::SwiGLU_OAI:
            return clamped * sigmoid(double(p.alpha) * clamped) * (up + 1);
        case moe::Glu::GeGLU_Erf:
            return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0))) * y;
        case moe::Glu::GeGLU_Quick:
            return x * sigmoid(1.702 * x) * y;
        case moe::Glu::SwiGLU_Clamp:
            return clamped * sigmoid(clamped) * up;
        case moe::Glu::SiTU:
            return double(p.alpha) * std::tanh(x / double(p.alpha)) * sigmoid(x) *
                   (p.limit > 0 ? limit * std::tanh(y / limit) : y);
    }
    return NAN;
}

}  // namespace

TEST(Kernels, NamesAndTheirTables) {
    EXPECT_STREQ(moe::kernels_by_name("scalar")->name, "scalar");
    for (const KernelTable * t : tables()) {
        EXPECT_EQ(moe::kernels_by_name(t->name), t);
        EXPECT_GE(t->tile_rows, 1);
        EXPECT_LE(t->tile_rows, moe::MAX_TILE_ROWS);
    }
    for (const char * name : {"", "avx", "avx5122", "AVX2", "neon"}) {
        EXPECT_EQ(moe::kernels_by_name(name), nullptr) << name;
    }
}
TEST(Kernels, TheOneThatIsForcedIsTaken) {
    for (const KernelTable * t : tables()) {
        LogCatcher log;
        EXPECT_EQ(&moe::choose_kernels(t->name), t);
        EXPECT_EQ(log.text(), "");
    }
}
TEST(Kernels, AnUnknownOneIsRefusedWithAWarning) {
    LogCatcher log;
    const KernelTable & best = moe::choose_kernels(nullptr);
    EXPECT_EQ(&moe::choose_kernels(""), &best);
    EXPECT_EQ(log.text(), "");
    EXPECT_EQ(&moe::choose_kernels("sse"), &best);
    EXPECT_EQ(log.text(),
              std::string("ggml-moe: GGML_MOE_ISA=sse is not known or not supported by this processor; using ") +
                  best.name + "\n");
    EXPECT_EQ(log.level(), GGML_LOG_LEVEL_WARN);
}
TEST(Kernels, BestOfThisMachine) {
    const std::string best = moe::choose_kernels(nullptr).name;
    if (moe::kernels_by_name("amx")) {
        EXPECT_EQ(best, "amx");
    } else if (moe::kernels_by_name("avx512vbmi")) {
        EXPECT_TRUE(best == "avx512vbmi" || best == "avx512bf16") << best;
    } else if (moe::kernels_by_name("avx512")) {
        EXPECT_EQ(best, "avx512");
    } else if (moe::kernels_by_name("avxvnni")) {
        EXPECT_EQ(best, "avxvnni");
    } else if (moe::kernels_by_name("avx2")) {
        EXPECT_EQ(best, "avx2");
    } else if (moe::kernels_by_name("i8mm")) {
        EXPECT_EQ(best, "i8mm");
    } else if (moe::kernels_by_name("dotprod")) {
        EXPECT_EQ(best, "dotprod");
    } else {
        EXPECT_EQ(best, "scalar");
    }
}

// Where activations lie in a row: quantized bytes, then their scales, then what offsets and minimums need.
TEST(Kernels, LayoutOfActivations) {
    using moe::ActKind;
    const auto expect = [](const moe::ActFormat & f, int32_t k, std::vector<int32_t> offsets) {
        const moe::ActLayout l = moe::act_layout(f, k);
        EXPECT_EQ((std::vector<int32_t>{l.k, l.off_d, l.off_init, l.off_sum, l.bytes}),
                  (offsets.insert(offsets.begin(), k), offsets));
    };
    expect({ActKind::F32, 0, 0, 0, 0}, 17, {0, 0, 0, 128});
    expect({ActKind::F32, 0, 0, 0, 0}, 16, {0, 0, 0, 64});
    expect({ActKind::BF16, 0, 0, 0, 0}, 33, {0, 0, 0, 128});
    expect({ActKind::INT8, 0, 0, 32, 0}, 96, {128, 140, 140, 192});
    expect({ActKind::INT8, 8, 32, 32, 0}, 96, {128, 140, 152, 192});
    expect({ActKind::INT8, 0, 0, 32, 32}, 96, {128, 140, 140, 192});
    expect({ActKind::INT8, 4, 16, 256, 32}, 512, {512, 520, 648, 768});
}
TEST(Kernels, FormatsAreEqualInEverything) {
    const moe::ActFormat f{moe::ActKind::INT8, 8, 32, 256, 16};
    EXPECT_TRUE(f == f);
    const moe::ActFormat others[] = {{moe::ActKind::F32, 8, 32, 256, 16},
                                     {moe::ActKind::INT8, 4, 32, 256, 16},
                                     {moe::ActKind::INT8, 8, 16, 256, 16},
                                     {moe::ActKind::INT8, 8, 32, 32, 16},
                                     {moe::ActKind::INT8, 8, 32, 256, 32}};
    for (const moe::ActFormat & o : others) {
        EXPECT_FALSE(f == o);
    }
}

TEST(Kernels, GatedActivationsOfAllValues) {
    std::vector<float> values = {0,  -0.0f, 1e-30f, -1e-30f, 1e-3f, 0.5f, 1,  2,     6.9f, 7,     7.1f, 20,  86, 87,
                                 88, 89,    100,    1e4f,    -0.5f, -1,   -2, -6.9f, -7,   -7.1f, -20,  -60, -86};
    for (const float v : moe_test::normals(200, 1, 3)) {
        values.push_back(v);
    }
    for (const KernelTable * t : tables()) {
        for (int op = 0; op < 9; ++op) {
            moe::GluParams p{static_cast<moe::Glu>(std::min(op, 7)), 1.702f, 7.0f};
            if (op == 8) p.limit = 0.0f;  // SiTU without a bound of the factor
            for (const float y : {1.0f, -3.0f, 6.9f, 7.0f, 7.1f, -6.9f, -7.0f, -7.1f, 100.0f, -100.0f}) {
                const std::vector<float> up(values.size(), y);
                std::vector<float> out(values.size());
                t->glu(p, static_cast<int>(values.size()), values.data(), up.data(), out.data());
                for (size_t i = 0; i < values.size(); ++i) {
                    const double want = reference(p, double(values[i]), double(y));
                    // 1 + erf of a large negative number is what single precision leaves of it
                    const double slack =
                        1e-30 + 1e-5 * std::abs(want) +
                        (p.op == moe::Glu::GeGLU_Erf ? 2e-7 * std::abs(double(values[i]) * double(y)) : 0);
                    ASSERT_NEAR(double(out[i]), want, slack)
                        << t->name << " op " << op << " gate " << values[i] << " up " << y;
                }
            }
        }
    }
}
TEST(Kernels, RowsOfEveryLengthInPlace) {
    for (const KernelTable * t : tables()) {
        for (int n = 0; n <= 70; ++n) {
            const auto gate = moe_test::normals(71, 1), up = moe_test::normals(71, 2);
            std::vector<float> out(71, 99.0f), over_gate = gate, over_up = up, sum = up;
            t->glu({}, n, gate.data(), up.data(), out.data());
            t->glu({}, n, over_gate.data(), up.data(), over_gate.data());
            t->glu({}, n, gate.data(), over_up.data(), over_up.data());
            t->axpy(n, 0.75f, gate.data(), sum.data());
            for (int i = 0; i < 71; ++i) {
                const auto at = static_cast<size_t>(i);
                if (i < n) {
                    EXPECT_NEAR(out[at], reference({}, double(gate[at]), double(up[at])), 1e-5);
                    EXPECT_EQ(over_gate[at], out[at]);
                    EXPECT_EQ(over_up[at], out[at]);
                    EXPECT_NEAR(sum[at], up[at] + 0.75f * gate[at], 1e-6);
                } else {
                    EXPECT_EQ(out[at], 99.0f);
                    EXPECT_EQ(over_gate[at], gate[at]);
                    EXPECT_EQ(over_up[at], up[at]);
                    EXPECT_EQ(sum[at], up[at]);
                }
            }
        }
    }
}

namespace {

// One row of activations as a type's kernels store it, with guards before and behind.
struct Quantized {
    moe::ActLayout l;
    std::vector<uint8_t> bytes;

    Quantized(const moe::TypeKernel & k, const std::vector<float> & x)
        : l(moe::act_layout(k.act, static_cast<int32_t>(x.size()))), bytes(static_cast<size_t>(l.bytes) + 64, 0xee) {
        k.quantize(k.act, l, x.data(), bytes.data());
        for (size_t i = static_cast<size_t>(l.bytes); i < bytes.size(); ++i) {
            EXPECT_EQ(bytes[i], 0xee) << "written behind the row";
        }
    }
    int8_t q(int i) const { return static_cast<int8_t>(bytes[static_cast<size_t>(i)]); }
    template <class T>
    T at(int32_t offset, int i) const {
        T v;
        std::memcpy(&v, bytes.data() + offset + static_cast<size_t>(i) * sizeof v, sizeof v);
        return v;
    }
};

}  // namespace

TEST(Kernels, QuantizedActivationsAreTheDefinition) {
    for (const KernelTable * t : tables()) {
        for (const moe::TypeKernel & k : t->types) {
            if (k.quantize == nullptr || k.act.kind != moe::ActKind::INT8) continue;
            for (const int columns : {256, 512, 1280}) {
                auto x = moe_test::normals(static_cast<size_t>(columns), 3);
                std::fill(x.begin(), x.begin() + 32, 0.0f);  // an empty block
                x[40] = -5.0f;                               // the largest is negative
                x[77] = 1e-41f;
                const Quantized r(k, x);
                for (int b = 0; b < columns / k.act.scale; ++b) {
                    float amax = 0;
                    for (int i = 0; i < k.act.scale; ++i) {
                        amax = std::max(amax, std::fabs(x[static_cast<size_t>(b * k.act.scale + i)]));
                    }
                    ASSERT_EQ(r.at<float>(r.l.off_d, b), amax / 127.0f);
                    for (int i = b * k.act.scale; i < (b + 1) * k.act.scale; ++i) {
                        ASSERT_EQ(r.q(i), amax > 0 ? static_cast<int>(
                                                         std::nearbyint(x[static_cast<size_t>(i)] * (127.0f / amax)))
                                                   : 0)
                            << i;
                    }
                }
                const auto sum = [&](int first, int n) {
                    int s = 0;
                    for (int i = first; i < first + n; ++i) {
                        s += r.q(i);
                    }
                    return s;
                };
                for (int g = 0; k.act.offset != 0 && g < columns / k.act.group; ++g) {
                    ASSERT_EQ(r.at<int32_t>(r.l.off_init, g), -k.act.offset * sum(g * k.act.group, k.act.group));
                }
                for (int g = 0; k.act.min_step != 0 && g < columns / k.act.min_step; ++g) {
                    const float s = static_cast<float>(sum(g * k.act.min_step, k.act.min_step));
                    const float d =
                        k.act.scale == 256 ? 1.0f : r.at<float>(r.l.off_d, g * k.act.min_step / k.act.scale);
                    ASSERT_EQ(r.at<float>(r.l.off_sum, g), s * d);
                }
            }
        }
    }
}
// What cannot be scaled to 127 without overflow is taken for zero; ties go to the even number.
TEST(Kernels, QuantizedActivationsAtTheEdges) {
    for (const KernelTable * t : tables()) {
        const moe::TypeKernel & k = t->types[static_cast<int>(moe::WType::Q8_0)];
        std::vector<float> x(32, 1e-40f);
        const Quantized tiny(k, x);
        for (int i = 0; i < 32; ++i) {
            EXPECT_EQ(tiny.q(i), 0);
        }
        x.assign(32, 0.0f);
        x[0] = 127.0f, x[1] = 0.5f, x[2] = 1.5f, x[3] = -2.5f, x[4] = -127.0f;
        const Quantized ties(k, x);
        EXPECT_EQ(ties.q(0), 127);
        EXPECT_EQ(ties.q(1), 0);
        EXPECT_EQ(ties.q(2), 2);
        EXPECT_EQ(ties.q(3), -2);
        EXPECT_EQ(ties.q(4), -127);
    }
}
TEST(Kernels, FloatActivationsArePaddedWithZeros) {
    for (const KernelTable * t : tables()) {
        for (int n = 1; n <= 40; ++n) {
            const auto x = moe_test::normals(40, 1);
            const Quantized r(t->types[static_cast<int>(moe::WType::F32)],
                              std::vector<float>(x.begin(), x.begin() + n));
            for (int i = 0; i < r.l.bytes / 4; ++i) {
                EXPECT_EQ(r.at<float>(0, i), i < n ? x[static_cast<size_t>(i)] : 0.0f);
            }
        }
    }
}
TEST(Kernels, Bf16ActivationsAreRoundedToEven) {
    const KernelTable * t = moe::kernels_by_name("avx512bf16");
    if (t == nullptr) {
        GTEST_SKIP() << "this machine has no AVX-512 BF16";
    }
    const auto bits = [](uint32_t b) {
        float f;
        std::memcpy(&f, &b, sizeof f);
        return f;
    };
    const std::pair<uint32_t, uint16_t> cases[] = {
        {0x3f808000, 0x3f80}, {0x3f818000, 0x3f82}, {0x3f808001, 0x3f81}, {0x3f807fff, 0x3f80}, {0x7f800000, 0x7f80},
        {0xff800000, 0xff80}, {0x7f800001, 0x7fc0}, {0xff80ffff, 0xffc0}, {0x7f7fffff, 0x7f80}, {0x80000000, 0x8000}};
    for (const auto & [from, to] : cases) {
        const Quantized r(t->types[static_cast<int>(moe::WType::BF16)], {bits(from)});
        EXPECT_EQ(r.at<uint16_t>(0, 0), to) << std::hex << from;
        for (int i = 1; i < r.l.bytes / 2; ++i) {
            EXPECT_EQ(r.at<uint16_t>(0, i), 0);
        }
    }
}

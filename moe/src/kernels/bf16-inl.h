// The tile product for BF16 weights where the processor multiplies pairs of BF16 numbers (VDPBF16PS): activations are
// rounded to BF16, as ggml does on every processor. Include after float-inl.h and rows-inl.h.
#pragma once

namespace moe {
namespace MOE_ISA {

struct WBF16Pairs {
    using Pairs = __m512bh;
    static constexpr int COLS = 2 * L, BYTES = 2, ACT_BYTES = 2;
    static Pairs load(const uint8_t * p) { return (Pairs) Vec::load(p); }
    static Pairs load_act(const uint8_t * p) { return load(p); }
    static F fma(Pairs w, Pairs x, F s) { return _mm512_dpbf16_ps(s, w, x); }
};

inline TypeKernel bf16_kernel() {
    TypeKernel k;
    k.act.kind = ActKind::BF16;
    k.quantize = round_bf16;
    k.tile     = tile_float<WBF16Pairs>;
    return k;
}

}  // namespace MOE_ISA
}  // namespace moe

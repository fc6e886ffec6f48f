// Fills the kernel table of one instruction set. Include last.
#pragma once

namespace moe {
namespace MOE_ISA {

template <class T> TypeKernel quant_kernel() {
    TypeKernel k;
    k.act.kind     = ActKind::INT8;
    k.act.offset   = static_cast<uint8_t>(T::kOffset);
    k.act.group    = T::kOffset ? T::kGroup : 0;
    k.act.scale    = T::kActScale;
    k.act.min_step = T::kMinStep;
    k.quantize     = quantize_int8;
    k.tile         = tile_quant<T>;
    return k;
}

template <class W> TypeKernel float_kernel() {
    TypeKernel k;
    k.act.kind = ActKind::F32;
    k.quantize = copy_f32;
    k.tile     = tile_float<W>;
    return k;
}

inline KernelTable make_table(const char * name) {
    KernelTable t{};
    t.name      = name;
    t.tile_rows = kTileRows;
    const auto set = [&](WType w, TypeKernel k) { t.types[static_cast<int>(w)] = k; };
    set(WType::F32, float_kernel<WF32>());
    set(WType::F16, float_kernel<WF16>());
    set(WType::BF16, float_kernel<WBF16>());
    set(WType::Q8_0, quant_kernel<Q8_0>());
    set(WType::Q4_0, quant_kernel<Q4_0>());
    set(WType::Q4_1, quant_kernel<Q4_1>());
    set(WType::Q5_0, quant_kernel<Q5_0>());
    set(WType::Q5_1, quant_kernel<Q5_1>());
    set(WType::Q2_K, quant_kernel<Q2_K>());
    set(WType::Q3_K, quant_kernel<Q3_K>());
    set(WType::Q4_K, quant_kernel<Q4_K>());
    set(WType::Q5_K, quant_kernel<Q5_K>());
    set(WType::Q6_K, quant_kernel<Q6_K>());
    set(WType::IQ4_NL, quant_kernel<IQ4_NL>());
    set(WType::IQ4_XS, quant_kernel<IQ4_XS>());
    set(WType::MXFP4, quant_kernel<MXFP4>());
    t.glu  = glu_f32;
    t.axpy = axpy_f32;
    t.attention         = attention;
    t.attention_scratch = AttentionScratch::floats;
    return t;
}

}  // namespace MOE_ISA
}  // namespace moe

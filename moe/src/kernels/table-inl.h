// Fills the kernel table of one instruction set. Include last.
#pragma once

namespace moe {
namespace MOE_ISA {

template <class T> TypeKernel quant_kernel() {
    TypeKernel k;
    k.act.kind     = ActKind::INT8;
    k.act.offset   = static_cast<uint8_t>(T::OFFSET);
    k.act.group    = T::OFFSET ? T::GROUP : 0;
    k.act.scale    = T::ACT_SCALE;
    k.act.min_step = T::MIN_STEP;
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

// Types that are faster with VBMI.
inline void set_codebook_kernels(KernelTable & t) {
    fill_codebooks();
    const auto set = [&](WType w, TypeKernel k) { t.types[static_cast<int>(w)] = k; };
    set(WType::IQ1_S, quant_kernel<IQ1_S>());
    set(WType::IQ1_M, quant_kernel<IQ1_M>());
    set(WType::IQ2_XXS, quant_kernel<IQ2_XXS>());
    set(WType::IQ2_XS, quant_kernel<IQ2_XS>());
    set(WType::IQ2_S, quant_kernel<IQ2_S>());
    set(WType::IQ3_XXS, quant_kernel<IQ3_XXS>());
    set(WType::IQ3_S, quant_kernel<IQ3_S>());
    set(WType::Q2_0, quant_kernel<Q2_0>());
}

inline KernelTable make_table(const char * name) {
    KernelTable t{};
    t.name      = name;
    t.tile_rows = TILE_ROWS;
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
    set(WType::NVFP4, quant_kernel<NVFP4>());
    set(WType::TQ1_0, quant_kernel<TQ1_0>());
    set(WType::TQ2_0, quant_kernel<TQ2_0>());
    set(WType::Q1_0, quant_kernel<Q1_0>());
    set_codebook_kernels(t);
    t.glu  = glu_f32;
    t.axpy = axpy_f32;
    t.attention         = attention;
    t.attention_scratch = AttentionScratch::floats;
    return t;
}

}  // namespace MOE_ISA
}  // namespace moe

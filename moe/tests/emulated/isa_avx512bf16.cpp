// What AVX-512 BF16 replaces, and the other float types; no quantized ones.
#include "avx512.h"
#include <simde/x86/avx512/dpbf16.h>

#define MOE_ISA emulated_avx512bf16

#include "kernels/vec_avx512.h"
#include "emulated-inl.h"
#include "kernels/bf16-inl.h"

namespace moe::MOE_ISA {

KernelTable emulated_table() {
    KernelTable t{};
    t.name      = "avx512bf16";
    t.tile_rows = TILE_ROWS;
    t.glu       = glu_f32;
    t.axpy      = axpy_f32;
    t.types[static_cast<int>(WType::F32)]  = float_kernel<WF32>();
    t.types[static_cast<int>(WType::F16)]  = float_kernel<WF16>();
    t.types[static_cast<int>(WType::BF16)] = bf16_kernel();
    return t;
}

}  // namespace moe::MOE_ISA

// What VBMI replaces, and the float types that tests need beside them.
#include "avx512.h"

#define MOE_ISA emulated_avx512vbmi
#define MOE_VBMI

#include "kernels/vec_avx512.h"
#include "emulated-inl.h"

namespace moe::MOE_ISA {

KernelTable emulated_table() {
    KernelTable t{};
    t.name      = "avx512vbmi";
    t.tile_rows = TILE_ROWS;
    t.glu       = glu_f32;
    t.axpy      = axpy_f32;
    set_codebook_kernels(t);
    return t;
}

}  // namespace moe::MOE_ISA

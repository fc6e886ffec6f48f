#include "avx512.h"

#define MOE_ISA emulated_avx512

#include "kernels/vec_avx512.h"
#include "emulated-inl.h"
#include "kernels/types/codebook-rows-inl.h"

moe::KernelTable moe::MOE_ISA::emulated_table() {
    KernelTable t = make_table("avx512");
    set_codebook_rows(t);
    return t;
}

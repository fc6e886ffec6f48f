#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512/dpbusd.h>
#include <simde/x86/avx512/dpwssd.h>

#define _mm256_dpbusd_avx_epi32 simde_mm256_dpbusd_epi32
#define _mm256_dpwssd_avx_epi32 simde_mm256_dpwssd_epi32

#define MOE_ISA emulated_avxvnni
#define MOE_AVX_VNNI

#include "kernels/vec_avx2.h"
#include "emulated-inl.h"
#include "kernels/types/codebook-rows-inl.h"

moe::KernelTable moe::MOE_ISA::emulated_table() {
    KernelTable t = make_table("avxvnni");
    set_codebook_rows(t);
    return t;
}

#include "avx512.h"

#define MOE_ISA emulated_amx

#include "kernels/vec_avx512.h"
#include "emulated-inl.h"
#include "tiles_amx.h"
#include "kernels/amx-inl.h"

moe::KernelTable moe::MOE_ISA::emulated_table() {
    KernelTable t = make_table("amx");
    use_amx(t);
    return t;
}

#include "avx512.h"

#define MOE_ISA emulated_avx512

#include "kernels/vec_avx512.h"
#include "emulated-inl.h"

moe::KernelTable moe::MOE_ISA::emulated_table() { return make_table("avx512"); }

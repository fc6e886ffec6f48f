#include "neon.h"

#define MOE_ISA emulated_dotprod

#include "kernels/vec_neon.h"
#include "emulated-inl.h"

moe::KernelTable moe::MOE_ISA::emulated_table() { return make_table("dotprod"); }

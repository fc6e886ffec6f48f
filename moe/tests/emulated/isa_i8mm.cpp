#include "neon.h"

#define MOE_ISA emulated_i8mm
#define MOE_I8MM

#include "kernels/vec_neon.h"
#include "emulated-inl.h"
#include "kernels/i8mm-inl.h"

moe::KernelTable moe::MOE_ISA::emulated_table() {
    KernelTable t = make_table("i8mm");
    use_i8mm(t);
    return t;
}

// The AVX-512 kernels on a machine that has none: their own source over emulated instructions, in a plugin that chooses
// no others. Slow, and right where the real ones are.
#include "avx512.h"

#define MOE_ISA emulated512

#include "kernels/vec_avx512.h"
#include "kernels/unpack-inl.h"
#include "kernels/gemm-inl.h"
#include "kernels/float-inl.h"
#include "kernels/rows-inl.h"
#include "kernels/table-inl.h"

// In place of moe::kernels(), by the linker.
extern "C" const moe::KernelTable & __wrap__ZN3moe7kernelsEv();
extern "C" const moe::KernelTable & __wrap__ZN3moe7kernelsEv() {
    static const moe::KernelTable table = moe::emulated512::make_table("avx512");
    return table;
}

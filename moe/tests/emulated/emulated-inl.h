// The kernels of an instruction set that the machine may lack: their own source over emulated instructions, in a plugin
// that chooses no others. Slow, and right where the real ones are. Include after vec_*.h; define emulated_table().
#include "kernels/types/unpack-inl.h"
#include "kernels/types/codebook-inl.h"
#include "kernels/types/ternary-inl.h"
#include "kernels/gemm-inl.h"
#include "kernels/float-inl.h"
#include "kernels/rows-inl.h"
#include "kernels/attention-inl.h"
#include "kernels/table-inl.h"

namespace moe::MOE_ISA {
KernelTable emulated_table();
}

// In place of moe::kernels(), by the linker.
extern "C" const moe::KernelTable & __wrap__ZN3moe7kernelsEv();
extern "C" const moe::KernelTable & __wrap__ZN3moe7kernelsEv() {
    static const moe::KernelTable table = moe::MOE_ISA::emulated_table();
    return table;
}

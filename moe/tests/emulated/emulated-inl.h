// The kernels of an instruction set that the machine may lack: their own source over emulated instructions, in a plugin
// that chooses no others. Slow, and right where the real ones are. Include after vec_*.h.
#include "kernels/unpack-inl.h"
#include "kernels/gemm-inl.h"
#include "kernels/float-inl.h"
#include "kernels/rows-inl.h"
#include "kernels/table-inl.h"

// In place of moe::kernels(), by the linker.
extern "C" const moe::KernelTable & __wrap__ZN3moe7kernelsEv();
extern "C" const moe::KernelTable & __wrap__ZN3moe7kernelsEv() {
    static const moe::KernelTable table = moe::MOE_ISA::make_table(MOE_EMULATED_NAME);
    return table;
}

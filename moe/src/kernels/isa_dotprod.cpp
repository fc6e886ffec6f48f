// The NEON kernels with the dot products of Armv8.2, which Arm's cores have since the Cortex-A76, A55 and Neoverse N1.
//
// Everything included here is compiled into a namespace of its own: a template shared with another instruction
// set could otherwise be merged by the linker and run where it cannot.
#define MOE_ISA dotprod

#include "vec_neon.h"
#include "types/unpack-inl.h"
#include "types/codebook-inl.h"
#include "types/ternary-inl.h"
#include "gemm-inl.h"
#include "float-inl.h"
#include "rows-inl.h"
#include "attention-inl.h"
#include "table-inl.h"

namespace moe {

const KernelTable & kernels_dotprod() {
    static const KernelTable table = dotprod::make_table("dotprod");
    return table;
}

}  // namespace moe

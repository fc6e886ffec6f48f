// The scalar reference kernels; always built.
//
// Everything included here is compiled into a namespace of its own: a template shared with another instruction
// set could otherwise be merged by the linker and run where it cannot.
#define MOE_ISA scalar

#include "vec_scalar.h"
#include "types/unpack-inl.h"
#include "types/codebook-inl.h"
#include "types/ternary-inl.h"
#include "gemm-inl.h"
#include "float-inl.h"
#include "rows-inl.h"
#include "attention-inl.h"
#include "table-inl.h"

namespace moe {

const KernelTable & kernels_scalar() {
    static const KernelTable table = scalar::make_table("scalar");
    return table;
}

}  // namespace moe

// The AVX-512 kernels (F, BW, DQ, VL, VNNI).
//
// Everything included here is compiled into a namespace of its own: a template shared with another instruction
// set could otherwise be merged by the linker and run where it cannot.
#define MOE_ISA avx512

#include "vec_avx512.h"
#include "types/unpack-inl.h"
#include "types/codebook-inl.h"
#include "types/ternary-inl.h"
#include "gemm-inl.h"
#include "float-inl.h"
#include "rows-inl.h"
#include "attention-inl.h"
#include "table-inl.h"
#include "types/codebook-rows-inl.h"

namespace moe {

const KernelTable & kernels_avx512() {
    static const KernelTable table = [] {
        KernelTable t = avx512::make_table("avx512");
        avx512::set_codebook_rows(t);
        return t;
    }();
    return table;
}

}  // namespace moe

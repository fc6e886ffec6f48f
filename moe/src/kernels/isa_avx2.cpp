// The AVX2 kernels (compiled with -mavx2 -mfma -mf16c).
//
// Everything included here is compiled into a namespace of its own: a template shared with another instruction
// set could otherwise be merged by the linker and run where it cannot.
#define MOE_ISA avx2

#include "vec_avx2.h"
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

const KernelTable & kernels_avx2() {
    static const KernelTable table = [] {
        KernelTable t = avx2::make_table("avx2");
        avx2::set_codebook_rows(t);
        return t;
    }();
    return table;
}

}  // namespace moe

// The AVX-512 kernels with those of the types that VBMI and GFNI unpack faster replaced.
#define MOE_ISA avx512vbmi
#define MOE_VBMI

#include "vec_avx512.h"
#include "types/unpack-inl.h"
#include "types/codebook-inl.h"
#include "types/ternary-inl.h"
#include "gemm-inl.h"
#include "float-inl.h"
#include "rows-inl.h"
#include "attention-inl.h"
#include "table-inl.h"

namespace moe {

const KernelTable & kernels_avx512vbmi() {
    static const KernelTable table = [] {
        KernelTable t = kernels_avx512();
        t.name = "avx512vbmi";
        avx512vbmi::set_codebook_kernels(t);
        return t;
    }();
    return table;
}

}  // namespace moe

// The AVX2 kernels with the dot products of AVX-VNNI, which processors without AVX-512 have: Intel's since Alder Lake.
#define MOE_ISA avxvnni
#define MOE_AVX_VNNI

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

const KernelTable & kernels_avxvnni() {
    static const KernelTable table = [] {
        KernelTable t = avxvnni::make_table("avxvnni");
        avxvnni::set_codebook_rows(t);
        return t;
    }();
    return table;
}

}  // namespace moe

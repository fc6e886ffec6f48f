// The kernels of AVX-512 with VBMI, with the products of several rows of quantized weights replaced by ones of AMX.
#define MOE_ISA amx
#define MOE_VBMI

#include "vec_avx512.h"
#include "types/unpack-inl.h"
#include "types/codebook-inl.h"
#include "types/ternary-inl.h"
#include "gemm-inl.h"
#include "tiles_amx.h"
#include "amx-inl.h"

namespace moe {

const KernelTable & kernels_amx() {
    static const KernelTable table = [] {
        KernelTable t = kernels_avx512vbmi();
        t.name = "amx";
        amx::use_amx(t);
        return t;
    }();
    return table;
}

}  // namespace moe

// The AVX-512 kernels with the products of several rows of quantized weights replaced by ones of AMX.
#define MOE_ISA amx

#include "vec_avx512.h"
#include "unpack-inl.h"
#include "gemm-inl.h"
#include "tiles_amx.h"
#include "amx-inl.h"

namespace moe {

const KernelTable & kernels_amx() {
    static const KernelTable table = [] {
        KernelTable t = kernels_avx512();
        t.name = "amx";
        amx::use_amx(t);
        return t;
    }();
    return table;
}

}  // namespace moe

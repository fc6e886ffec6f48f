// The kernels of AVX-512 with VBMI, with those for BF16 weights replaced by ones of AVX-512 BF16.
#define MOE_ISA avx512bf16

#include "vec_avx512.h"
#include "types/unpack-inl.h"
#include "gemm-inl.h"
#include "float-inl.h"
#include "rows-inl.h"
#include "bf16-inl.h"

namespace moe {

const KernelTable & kernels_avx512bf16() {
    static const KernelTable table = [] {
        KernelTable t = kernels_avx512vbmi();
        t.name = "avx512bf16";
        t.types[static_cast<int>(WType::BF16)] = avx512bf16::bf16_kernel();
        return t;
    }();
    return table;
}

}  // namespace moe

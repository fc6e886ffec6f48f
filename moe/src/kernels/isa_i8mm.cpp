// The kernels of dotprod, with the products of several rows of quantized weights replaced by ones of SMMLA (FEAT_I8MM).
#define MOE_ISA i8mm
#define MOE_I8MM

#include "vec_neon.h"
#include "types/unpack-inl.h"
#include "types/codebook-inl.h"
#include "types/ternary-inl.h"
#include "gemm-inl.h"
#include "i8mm-inl.h"

namespace moe {

const KernelTable & kernels_i8mm() {
    static const KernelTable table = [] {
        KernelTable t = kernels_dotprod();
        t.name = "i8mm";
        i8mm::use_i8mm(t);
        return t;
    }();
    return table;
}

}  // namespace moe

#include "avx512.h"

#define MOE_ISA emulated_avx512
#define MOE_EMULATED_NAME "avx512"

#include "kernels/vec_avx512.h"
#include "emulated-inl.h"

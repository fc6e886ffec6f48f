// Chooses the kernels once, by what the processor can do and what GGML_MOE_ISA asks for.
#include "kernels.h"

#include <cstdlib>
#include <cstring>

#include "ggml/log.h"

#if defined(MOE_HAVE_X86)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif defined(MOE_HAVE_DOTPROD) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace moe {

static_assert(WTYPES == 28, "the kernel tables list every weight type");

ActLayout act_layout(const ActFormat & f, int32_t k) {
    const auto up64 = [](int32_t n) { return (n + 63) / 64 * 64; };
    const auto ceil = [](int32_t n, int32_t d) { return (n + d - 1) / d; };
    ActLayout l;
    l.k = k;
    if (f.kind != ActKind::INT8) {
        l.bytes = up64(k * (f.kind == ActKind::F32 ? 4 : 2));
        return l;
    }
    l.off_d    = up64(k);
    l.off_init = l.off_d + 4 * ceil(k, f.scale);
    l.off_sum  = l.off_init + (f.offset ? 4 * ceil(k, f.group) : 0);
    l.bytes    = up64(l.off_sum + (f.min_step ? 4 * ceil(k, f.min_step) : 0));
    return l;
}

[[maybe_unused]] static bool cpu_has_avx2() {
#if defined(MOE_HAVE_X86)
    unsigned a = 0, b = 0, c = 0, d = 0;
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C) != 0;  // clang 14 does not know the name
#else
    return false;
#endif
}

// A bit of what the processor calls structured extended features, by hand: not every compiler's __builtin_cpu_supports
// knows the newer names.
[[maybe_unused]] static bool cpu_has_extension([[maybe_unused]] int bit) {
#if defined(MOE_HAVE_X86)
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && ((a >> bit) & 1) != 0;
#else
    return false;
#endif
}

[[maybe_unused]] static bool cpu_has_avxvnni() { return cpu_has_avx2() && cpu_has_extension(4); }

[[maybe_unused]] static bool cpu_has_avx512() {
#if defined(MOE_HAVE_X86)
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
#else
    return false;
#endif
}

// VBMI, and the GFNI that all processors with it have but the first.
[[maybe_unused]] static bool cpu_has_avx512vbmi() {
#if defined(MOE_HAVE_X86)
    return cpu_has_avx512() && __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("gfni");
#else
    return false;
#endif
}

[[maybe_unused]] static bool cpu_has_avx512bf16() { return cpu_has_avx512vbmi() && cpu_has_extension(5); }

// VDPBF16PS takes twice as long as a multiply-add on an Intel Xeon with AMX: the kernels that convert BF16 are faster there.
// AMD's are said to start both as often.
[[maybe_unused]] static bool cpu_is_amd() {
#if defined(MOE_HAVE_X86)
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid(0, &a, &b, &c, &d) && b == signature_AMD_ebx;
#else
    return false;
#endif
}

// Whether AMX multiplies bytes, and the kernel lets this process use its registers: it must be asked once (Linux 5.16).
[[maybe_unused]] static bool cpu_has_amx() {
#if defined(MOE_HAVE_X86) && defined(SYS_arch_prctl)
    constexpr int TILE_CONFIG = 24, TILE_INT8 = 25, REQUEST = 0x1023 /* ARCH_REQ_XCOMP_PERM */, TILE_DATA = 18;
    unsigned a = 0, b = 0, c = 0, d = 0;
    return cpu_has_avx512vbmi() && __get_cpuid_count(7, 0, &a, &b, &c, &d) && ((d >> TILE_CONFIG) & (d >> TILE_INT8) & 1) != 0 &&
           syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0;
#else
    return false;
#endif
}

// What 64-bit Arm's processors have beyond Armv8.0 only an operating system can tell.
[[maybe_unused]] static bool cpu_has_dotprod() {
#if defined(MOE_HAVE_DOTPROD) && defined(__linux__)
    return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#else
    return false;
#endif
}

[[maybe_unused]] static bool cpu_has_i8mm() {
#if defined(MOE_HAVE_I8MM) && defined(__linux__)
    return cpu_has_dotprod() && (getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0;
#else
    return false;
#endif
}

namespace {

// The instruction sets that were built (GGML_MOE_KERNELS), best first.
struct Kernels {
    const char * name;
    bool (*runs)();    // on this processor
    bool (*chosen)();  // without being asked for, where it runs
    const KernelTable & (*table)();
};

bool always() { return true; }

constexpr Kernels BUILT[] = {
#if defined(MOE_HAVE_AMX)
    {"amx", cpu_has_amx, always, kernels_amx},
#endif
#if defined(MOE_HAVE_AVX512BF16)
    {"avx512bf16", cpu_has_avx512bf16, cpu_is_amd, kernels_avx512bf16},
#endif
#if defined(MOE_HAVE_AVX512VBMI)
    {"avx512vbmi", cpu_has_avx512vbmi, always, kernels_avx512vbmi},
#endif
#if defined(MOE_HAVE_AVX512)
    {"avx512", cpu_has_avx512, always, kernels_avx512},
#endif
#if defined(MOE_HAVE_AVXVNNI)
    {"avxvnni", cpu_has_avxvnni, always, kernels_avxvnni},
#endif
#if defined(MOE_HAVE_AVX2)
    {"avx2", cpu_has_avx2, always, kernels_avx2},
#endif
#if defined(MOE_HAVE_I8MM)
    {"i8mm", cpu_has_i8mm, always, kernels_i8mm},
#endif
#if defined(MOE_HAVE_DOTPROD)
    {"dotprod", cpu_has_dotprod, always, kernels_dotprod},
#endif
    {"scalar", always, always, kernels_scalar},
};

}  // namespace

const KernelTable * kernels_by_name(const char * name) {
    for (const Kernels & k : BUILT) {
        if (std::strcmp(name, k.name) == 0 && k.runs()) { return &k.table(); }
    }
    return nullptr;
}

const KernelTable & choose_kernels(const char * want) {
    const Kernels * best = BUILT;
    while (!best->runs() || !best->chosen()) { ++best; }
    if (want != nullptr && *want != '\0') {
        if (const KernelTable * t = kernels_by_name(want)) { return *t; }
        log_warn("GGML_MOE_ISA=%s is not known or not supported by this processor; using %s\n", want, best->name);
    }
    return best->table();
}

const KernelTable & kernels() {
    static const KernelTable & table = choose_kernels(std::getenv("GGML_MOE_ISA"));
    return table;
}

}  // namespace moe

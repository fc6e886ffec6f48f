#include "base/process/short_waits.h"

#include <sys/auxv.h>
#include <unistd.h>
#include <cstdlib>
#include <filesystem>

namespace shimmy {

void wait_briefly(char * const * argv) {
    if (std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr) return;
    if (::getauxval(AT_BASE) == 0) return;  // started as an argument of the dynamic linker: that is what exe would be
    std::error_code error;
    const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
    if (error || ::setenv("GOMP_SPINCOUNT", SHORT_WAIT, /*overwrite=*/0) != 0) return;
    ::execv(program.c_str(), argv);
}

}  // namespace shimmy

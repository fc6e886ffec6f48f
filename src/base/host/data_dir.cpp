#include "base/host/data_dir.h"

#include "base/process/subprocess.h"

namespace shimmy {

std::filesystem::path data_dir(const char * installed_name, const char * source_dir) {
    const std::filesystem::path prefix = std::filesystem::path(self_path()).parent_path().parent_path();
    const std::filesystem::path installed = prefix / "share" / "shimmy" / installed_name;
    return std::filesystem::is_directory(installed) ? installed : std::filesystem::path(source_dir);
}

}  // namespace shimmy

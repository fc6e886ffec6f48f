#include "size.h"

#include <cstdint>
#include <cstdlib>
#include <limits>

namespace moe {

bool parse_size(const std::string & text, size_t & bytes) {
    if (text.empty() || text[0] < '0' || text[0] > '9') return false;
    char * end = nullptr;
    double value = std::strtod(text.c_str(), &end);
    const std::string unit = end;
    if (unit == "K" || unit == "KiB") {
        value *= 1024.0;
    } else if (unit == "M" || unit == "MiB") {
        value *= 1024.0 * 1024;
    } else if (unit == "G" || unit == "GiB") {
        value *= 1024.0 * 1024 * 1024;
    } else if (!unit.empty() && unit != "B") {
        return false;
    }
    if (!(value < static_cast<double>(std::numeric_limits<int64_t>::max()))) return false;
    bytes = static_cast<size_t>(value);
    return true;
}

}  // namespace moe

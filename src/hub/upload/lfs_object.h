// A file that the Hub is to hold.
#pragma once

#include "base/files.h"

#include <cstdint>
#include <string>

namespace shimmy::hub {

struct LfsObject {
    fs::path file;
    std::string sha256;  // of the file as it should be
    uint64_t size_bytes = 0;
};

}  // namespace shimmy::hub

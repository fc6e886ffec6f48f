// The embedded model, damaged on purpose.
#pragma once

#include "base/files.h"
#include "gguf/gguf_file.h"
#include "program.h"

#include <fstream>
#include <random>
#include <regex>
#include <string>

namespace shimmy::e2e {

// A copy in `dir` in which a `share` of the F16 and F32 weights of the tensors that match has the sign flipped: noise
// as large as the weights themselves.
inline fs::path damaged_tiny_moe(const fs::path & dir, const std::string & pattern, double share) {
    const fs::path copy = dir / "damaged.gguf";
    fs::copy_file(tiny_moe(), copy, fs::copy_options::overwrite_existing);
    fs::permissions(copy, fs::perms::owner_write, fs::perm_options::add);
    const gguf::GgufFile file(tiny_moe());
    std::fstream stream(copy, std::ios::binary | std::ios::in | std::ios::out);
    std::mt19937 random(1);
    std::bernoulli_distribution flips(share);
    for (const gguf::TensorInfo & tensor : file.tensors()) {
        const size_t width = tensor.type == "f16" ? 2 : tensor.type == "f32" ? 4 : 0;
        if (width == 0 || !std::regex_search(tensor.name, std::regex(pattern))) continue;
        std::string bytes(tensor.bytes, '\0');
        stream.seekg(static_cast<std::streamoff>(tensor.offset_bytes));
        stream.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        for (size_t i = width - 1; i < bytes.size(); i += width) {  // little-endian: the last byte holds the sign
            if (flips(random)) bytes[i] = static_cast<char>(bytes[i] ^ 0x80);
        }
        stream.seekp(static_cast<std::streamoff>(tensor.offset_bytes));
        stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    }
    return copy;
}

}  // namespace shimmy::e2e

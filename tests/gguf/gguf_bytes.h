// GGUF files written byte by byte, so that tests can write wrong ones.
#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <type_traits>
#include <vector>

namespace shimmy::test {

class GgufBytes {
public:
    // Header with counts that may be lies.
    GgufBytes(uint64_t n_tensors, uint64_t n_keys, uint32_t version = 3) {
        bytes_ = "GGUF";
        number(version).number(n_tensors).number(n_keys);
    }

    template <typename T>
    GgufBytes & number(T value) {
        static_assert(std::is_arithmetic_v<T>);
        char raw[sizeof(T)];
        std::memcpy(raw, &value, sizeof(T));
        bytes_.append(raw, sizeof(T));
        return *this;
    }

    GgufBytes & string(const std::string & text) {
        number<uint64_t>(text.size());
        bytes_ += text;
        return *this;
    }

    GgufBytes & key(const std::string & name, const std::string & value) {
        return string(name).number<uint32_t>(8).string(value);
    }
    GgufBytes & key(const std::string & name, const char * value) { return key(name, std::string(value)); }
    GgufBytes & key(const std::string & name, uint32_t value) { return string(name).number<uint32_t>(4).number(value); }
    GgufBytes & key(const std::string & name, float value) { return string(name).number<uint32_t>(6).number(value); }
    GgufBytes & key(const std::string & name, const std::vector<int32_t> & values) {
        string(name).number<uint32_t>(9).number<uint32_t>(5).number<uint64_t>(values.size());
        for (const int32_t value : values)
            number(value);
        return *this;
    }
    GgufBytes & key(const std::string & name, const std::vector<float> & values) {
        string(name).number<uint32_t>(9).number<uint32_t>(6).number<uint64_t>(values.size());
        for (const float value : values)
            number(value);
        return *this;
    }
    GgufBytes & key(const std::string & name, const std::vector<std::string> & values) {
        string(name).number<uint32_t>(9).number<uint32_t>(8).number<uint64_t>(values.size());
        for (const std::string & value : values)
            string(value);
        return *this;
    }

    // A row of the tensor table. `type`: ggml's number, 0 is f32, 8 is q8_0.
    GgufBytes & tensor(const std::string & name, const std::vector<int64_t> & shape, uint64_t offset_bytes,
                       uint32_t type = 0) {
        string(name).number<uint32_t>(static_cast<uint32_t>(shape.size()));
        for (const int64_t n : shape)
            number(n);
        return number(type).number(offset_bytes);
    }

    // Padding to the data section, then so many bytes of weights.
    GgufBytes & data(uint64_t n_bytes) {
        bytes_.resize((bytes_.size() + 31) / 32 * 32);
        bytes_.resize(bytes_.size() + n_bytes, '\1');
        return *this;
    }

    const std::string & bytes() const { return bytes_; }

    void write(const std::filesystem::path & path) const { write(path, bytes_); }
    static void write(const std::filesystem::path & path, const std::string & bytes) {
        std::ofstream(path, std::ios::binary) << bytes;
    }

private:
    std::string bytes_;
};

}  // namespace shimmy::test

// The embedded model written again with other keys, types or alignment: the odd and damaged files of the tests.
#pragma once

#include "base/files.h"
#include "gguf/gguf_file.h"

#include "ggml.h"

#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace shimmy::engine {

class RewrittenModel {
public:
    struct Tensor {
        std::string name;
        std::vector<int64_t> shape;
        uint32_t type = 0;  // ggml's number
        std::string data;
    };

    explicit RewrittenModel(const fs::path & path) {
        const gguf::GgufFile file(path);
        const std::string bytes = read_file(path);
        for (const auto & [key, value] : file.metadata().values())
            keys_[std::string(key)] = raw(file.metadata(), key, value);
        for (const gguf::TensorInfo & tensor : file.tensors())
            tensors.push_back(
                {tensor.name, tensor.shape, number_of(tensor.type), bytes.substr(tensor.offset_bytes, tensor.bytes)});
    }

    RewrittenModel & set(const std::string & key, uint32_t value) { return set_raw(key, 4, as_bytes(value)); }
    RewrittenModel & set(const std::string & key, float value) { return set_raw(key, 6, as_bytes(value)); }
    RewrittenModel & set(const std::string & key, const std::string & value) {
        return set_raw(key, 8, string_bytes(value));
    }
    RewrittenModel & set(const std::string & key, const char * value) { return set(key, std::string(value)); }
    RewrittenModel & set(const std::string & key, const std::vector<std::string> & values) {
        std::string bytes = as_bytes(uint32_t{8}) + as_bytes(uint64_t{values.size()});
        for (const std::string & value : values)
            bytes += string_bytes(value);
        return set_raw(key, 9, bytes);
    }
    RewrittenModel & remove(const std::string & key) {
        keys_.erase(key);
        return *this;
    }

    Tensor & tensor(const std::string & name) {
        for (Tensor & one : tensors) {
            if (one.name == name) return one;
        }
        throw std::runtime_error("no tensor " + name);
    }

    // Returns the path.
    std::string write(const fs::path & path, uint64_t alignment = 32) {
        if (alignment != 32) set("general.alignment", static_cast<uint32_t>(alignment));
        std::string out =
            "GGUF" + as_bytes(uint32_t{3}) + as_bytes(uint64_t{tensors.size()}) + as_bytes(uint64_t{keys_.size()});
        for (const auto & [key, value] : keys_)
            out += string_bytes(key) + value;
        uint64_t offset = 0;
        for (const Tensor & one : tensors) {
            out += string_bytes(one.name) + as_bytes(static_cast<uint32_t>(one.shape.size()));
            for (const int64_t n : one.shape)
                out += as_bytes(n);
            out += as_bytes(one.type) + as_bytes(offset);
            offset += padded(one.data.size(), alignment);
        }
        out.resize(padded(out.size(), alignment), '\0');
        for (const Tensor & one : tensors) {
            out += one.data;
            out.resize(out.size() + padded(one.data.size(), alignment) - one.data.size(), '\0');
        }
        write_file_atomic(path, out);
        return path.string();
    }

    std::vector<Tensor> tensors;

private:
    template <typename T>
    static std::string as_bytes(T value) {
        std::string bytes(sizeof(T), '\0');
        std::memcpy(bytes.data(), &value, sizeof(T));
        return bytes;
    }
    static std::string string_bytes(const std::string & text) { return as_bytes(uint64_t{text.size()}) + text; }
    static uint64_t padded(uint64_t n, uint64_t alignment) { return (n + alignment - 1) / alignment * alignment; }

    static uint32_t number_of(const std::string & type) {
        uint32_t number = 0;
        while (type != ggml_type_name(static_cast<ggml_type>(number)))
            ++number;
        return number;
    }

    static std::string raw(const gguf::Metadata & metadata, std::string_view key, const gguf::Value & value) {
        const auto type = static_cast<uint32_t>(value.type);
        std::string bytes =
            value.is_array ? as_bytes(uint32_t{9}) + as_bytes(type) + as_bytes(value.n) : as_bytes(type);
        if (value.type == gguf::ValueType::string && value.is_array) {
            const std::vector<std::string_view> texts = metadata.find_strings(key).value();
            for (const std::string_view text : texts)
                bytes += string_bytes(std::string(text));
        } else if (value.type == gguf::ValueType::string) {
            bytes += string_bytes(std::string(metadata.find_string(key).value()));
        } else {
            bytes.append(reinterpret_cast<const char *>(value.data), value.n * gguf::size_of(value.type));
        }
        return bytes;
    }

    RewrittenModel & set_raw(const std::string & key, uint32_t type, const std::string & bytes) {
        keys_[key] = as_bytes(type) + bytes;
        return *this;
    }

    std::map<std::string, std::string> keys_;
};

}  // namespace shimmy::engine

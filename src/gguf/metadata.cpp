#include "gguf/metadata.h"

#include "base/error.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace shimmy::gguf {

namespace {

// Values lie unaligned in the file.
template <typename T>
T read_at(const Value & value, uint64_t i) {
    T result;
    std::memcpy(&result, value.data + i * sizeof(T), sizeof(T));
    return result;
}

std::string_view read_string(const std::byte *& at) {
    uint64_t n_bytes = 0;
    std::memcpy(&n_bytes, at, sizeof(n_bytes));
    const std::string_view text(reinterpret_cast<const char *>(at + sizeof(n_bytes)), n_bytes);
    at += sizeof(n_bytes) + n_bytes;
    return text;
}

}  // namespace

const char * to_string(ValueType type) {
    switch (type) {
        case ValueType::uint8:
            return "u8";
        case ValueType::int8:
            return "i8";
        case ValueType::uint16:
            return "u16";
        case ValueType::int16:
            return "i16";
        case ValueType::uint32:
            return "u32";
        case ValueType::int32:
            return "i32";
        case ValueType::float32:
            return "f32";
        case ValueType::boolean:
            return "bool";
        case ValueType::string:
            return "string";
        case ValueType::array:
            return "array";
        case ValueType::uint64:
            return "u64";
        case ValueType::int64:
            return "i64";
        case ValueType::float64:
            return "f64";
    }
    return "unknown";
}

uint64_t size_of(ValueType type) {
    switch (type) {
        case ValueType::uint8:
        case ValueType::int8:
        case ValueType::boolean:
            return 1;
        case ValueType::uint16:
        case ValueType::int16:
            return 2;
        case ValueType::uint32:
        case ValueType::int32:
        case ValueType::float32:
            return 4;
        case ValueType::uint64:
        case ValueType::int64:
        case ValueType::float64:
            return 8;
        case ValueType::string:
        case ValueType::array:
            break;
    }
    return 0;
}

void Metadata::fail_type(std::string_view key, const Value & value, const char * expected) const {
    fail("{}: metadata key {} is {}{}, expected {}", file_name_, key, value.is_array ? "an array of " : "",
         to_string(value.type), expected);
}

const Value * Metadata::find(std::string_view key) const {
    const auto found = values_.find(key);
    return found == values_.end() ? nullptr : &found->second;
}

std::optional<std::string_view> Metadata::find_string(std::string_view key) const {
    const Value * value = find(key);
    if (value == nullptr) return std::nullopt;
    if (value->is_array || value->type != ValueType::string) fail_type(key, *value, "a string");
    const std::byte * at = value->data;
    return read_string(at);
}

int64_t Metadata::int_at(std::string_view key, const Value & value, uint64_t i) const {
    switch (value.type) {
        case ValueType::boolean:
        case ValueType::uint8:
            return read_at<uint8_t>(value, i);
        case ValueType::int8:
            return read_at<int8_t>(value, i);
        case ValueType::uint16:
            return read_at<uint16_t>(value, i);
        case ValueType::int16:
            return read_at<int16_t>(value, i);
        case ValueType::uint32:
            return read_at<uint32_t>(value, i);
        case ValueType::int32:
            return read_at<int32_t>(value, i);
        case ValueType::int64:
            return read_at<int64_t>(value, i);
        case ValueType::uint64: {
            const auto number = read_at<uint64_t>(value, i);
            if (number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
                fail("{}: metadata key {} is {}: too large", file_name_, key, number);
            return static_cast<int64_t>(number);
        }
        default:
            fail_type(key, value, "an integer");
    }
}

std::optional<int64_t> Metadata::find_int(std::string_view key) const {
    const Value * value = find(key);
    if (value == nullptr) return std::nullopt;
    if (value->is_array) fail_type(key, *value, "an integer");
    return int_at(key, *value, 0);
}

std::optional<double> Metadata::find_float(std::string_view key) const {
    const Value * value = find(key);
    if (value == nullptr) return std::nullopt;
    if (value->is_array) fail_type(key, *value, "a number");
    if (value->type == ValueType::float32) return read_at<float>(*value, 0);
    if (value->type == ValueType::float64) return read_at<double>(*value, 0);
    return static_cast<double>(int_at(key, *value, 0));
}

std::optional<std::vector<int64_t>> Metadata::find_ints(std::string_view key) const {
    const Value * value = find(key);
    if (value == nullptr) return std::nullopt;
    std::vector<int64_t> numbers;
    numbers.reserve(value->n);
    for (uint64_t i = 0; i < value->n; ++i)
        numbers.push_back(int_at(key, *value, i));
    return numbers;
}

std::optional<std::vector<std::string_view>> Metadata::find_strings(std::string_view key, size_t limit) const {
    const Value * value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_array || value->type != ValueType::string) fail_type(key, *value, "an array of strings");
    std::vector<std::string_view> strings;
    const uint64_t n = std::min<uint64_t>(value->n, limit);
    strings.reserve(n);
    const std::byte * at = value->data;
    for (uint64_t i = 0; i < n; ++i)
        strings.push_back(read_string(at));
    return strings;
}

}  // namespace shimmy::gguf

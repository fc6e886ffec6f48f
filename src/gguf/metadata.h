// Key-value metadata of a GGUF file. Values stay where they are in the mapped file, so that a vocabulary of hundreds
// of thousands of strings costs nothing until someone asks for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace shimmy::gguf {

// Types of values, with GGUF's numbers.
enum class ValueType : uint32_t {
    uint8,
    int8,
    uint16,
    int16,
    uint32,
    int32,
    float32,
    boolean,
    string,
    array,
    uint64,
    int64,
    float64
};
const char * to_string(ValueType type);

// Bytes of one value; 0 for strings and arrays, whose size varies.
uint64_t size_of(ValueType type);

struct Value {
    ValueType type = ValueType::uint8;  // of an array: of its elements
    bool is_array = false;
    uint64_t n = 1;                    // elements
    const std::byte * data = nullptr;  // the first element, already checked to be whole
};

// The finders return nullopt (or null) if the key is missing and throw Error if its value has another type.
class Metadata {
public:
    Metadata() = default;
    explicit Metadata(std::string file_name) : file_name_(std::move(file_name)) {}

    // False if the key is there already.
    bool insert(std::string_view key, const Value & value) { return values_.emplace(key, value).second; }
    const std::map<std::string_view, Value> & values() const { return values_; }

    const Value * find(std::string_view key) const;
    std::optional<std::string_view> find_string(std::string_view key) const;
    std::optional<int64_t> find_int(std::string_view key) const;   // any integer type, or bool
    std::optional<double> find_float(std::string_view key) const;  // any number
    // One integer, or an array of them (a value per layer).
    std::optional<std::vector<int64_t>> find_ints(std::string_view key) const;
    // The first `limit` strings of an array.
    std::optional<std::vector<std::string_view>> find_strings(std::string_view key, size_t limit = SIZE_MAX) const;

private:
    [[noreturn]] void fail_type(std::string_view key, const Value & value, const char * expected) const;
    int64_t int_at(std::string_view key, const Value & value, uint64_t i) const;

    std::string file_name_;
    std::map<std::string_view, Value> values_;
};

}  // namespace shimmy::gguf

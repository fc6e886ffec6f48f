#include "gguf/parse.h"

#include "base/error.h"
#include "base/text/text.h"
#include "base/text/units.h"

#include "ggml.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <unordered_set>

namespace shimmy::gguf {

namespace {

constexpr std::string_view MAGIC = "GGUF";
constexpr uint32_t OLDEST_VERSION = 2;  // 1 had 32-bit counts; llama.cpp dropped it
constexpr uint32_t NEWEST_VERSION = 3;
constexpr uint64_t DEFAULT_ALIGNMENT = 32;
constexpr uint64_t MAX_ARRAY_ELEMENTS = uint64_t{1} << 30;  // ggml's limits
constexpr uint64_t MAX_STRING_BYTES = uint64_t{1} << 30;
constexpr uint64_t MIN_KEY_BYTES = 8 + 1 + 4 + 1;     // length, a letter, type, a byte
constexpr uint64_t MIN_TENSOR_BYTES = 8 + 4 + 4 + 8;  // length, n_dims, type, offset

// The next read needs more of the file than has been fetched.
struct NeedsMore {
    uint64_t n_bytes = 0;  // from the file's start
};

// A cursor that cannot leave the file, of which `bytes` is the start.
class Reader {
public:
    Reader(std::span<const std::byte> bytes, uint64_t n_file_bytes, const std::string & file_name)
        : bytes_(bytes), n_file_bytes_(n_file_bytes), file_name_(file_name) {}

    uint64_t position() const { return at_; }
    // The first bytes, as many of them as are there.
    std::string_view start(size_t n_bytes) const {
        return {reinterpret_cast<const char *>(bytes_.data()), std::min(n_bytes, bytes_.size())};
    }
    uint64_t remaining() const { return n_file_bytes_ - at_; }

    const std::byte * take(uint64_t n_bytes, std::string_view what) {
        if (n_bytes > remaining()) {
            fail("{}: truncated: the file ends inside {} ({} bytes missing)", file_name_, what, n_bytes - remaining());
        }
        if (at_ + n_bytes > bytes_.size()) throw NeedsMore{at_ + n_bytes};
        const std::byte * data = bytes_.data() + at_;
        at_ += n_bytes;
        return data;
    }

    template <typename T>
    T number(std::string_view what) {
        T value;
        std::memcpy(&value, take(sizeof(T), what), sizeof(T));
        return value;
    }

    std::string_view string(std::string_view what) {
        const auto n_bytes = number<uint64_t>(what);
        if (n_bytes > std::min(remaining(), MAX_STRING_BYTES)) {
            fail("{}: {} claims a length of {} bytes, but {} are left in the file (truncated or damaged)", file_name_,
                 what, n_bytes, remaining());
        }
        return {reinterpret_cast<const char *>(take(n_bytes, what)), n_bytes};
    }

private:
    std::span<const std::byte> bytes_;
    uint64_t n_file_bytes_;
    const std::string & file_name_;
    uint64_t at_ = 0;
};

struct Counts {
    uint64_t n_tensors = 0;
    uint64_t n_keys = 0;
};

class Parser {
public:
    Parser(std::span<const std::byte> bytes, uint64_t n_file_bytes, const std::string & file_name)
        : file_name_(file_name), n_file_bytes_(n_file_bytes), reader_(bytes, n_file_bytes, file_name) {}

    ParsedFile parse() {
        ParsedFile file;
        const Counts counts = parse_header(file);
        file.metadata = Metadata(file_name_);
        for (uint64_t i = 0; i < counts.n_keys; ++i)
            parse_key(file.metadata);
        alignment_ = parse_alignment(file.metadata);
        for (uint64_t i = 0; i < counts.n_tensors; ++i)
            parse_tensor(file.tensors);
        place_tensors(file.tensors);
        return file;
    }

private:
    Counts parse_header(ParsedFile & file) {
        if (n_file_bytes_ == 0) fail("{}: the file is empty", file_name_);
        const uint64_t n_magic = std::min<uint64_t>(MAGIC.size(), n_file_bytes_);
        const std::string_view magic(reinterpret_cast<const char *>(reader_.take(n_magic, "its magic")), n_magic);
        if (magic != MAGIC) fail("{}: {}", file_name_, what_else_it_is(magic));
        file.version = reader_.number<uint32_t>("the header");
        if (file.version != 0 && (file.version & 0xFFFFU) == 0) {
            fail(
                "{}: a big-endian GGUF; this program reads little-endian ones (convert it with gguf_convert_endian.py "
                "of llama.cpp)",
                file_name_);
        }
        if (file.version < OLDEST_VERSION || file.version > NEWEST_VERSION) {
            fail("{}: GGUF version {} is not supported (versions {} and {} are): {}", file_name_, file.version,
                 OLDEST_VERSION, NEWEST_VERSION,
                 file.version < OLDEST_VERSION ? "convert the original model again, or take a newer file of it"
                                               : "it is damaged, or newer than this program");
        }
        Counts counts;
        counts.n_tensors = reader_.number<uint64_t>("the header");
        counts.n_keys = reader_.number<uint64_t>("the header");
        check_count("metadata keys", counts.n_keys, MIN_KEY_BYTES);
        check_count("tensors", counts.n_tensors, MIN_TENSOR_BYTES);
        return counts;
    }

    // What people take for a model, by its first bytes.
    std::string what_else_it_is(std::string_view magic) const {
        const auto starts = [&](std::string_view text) { return lower(reader_.start(text.size())) == lower(text); };
        if (starts("version https://git-lfs")) {
            return "a Git LFS pointer in place of the file itself: fetch it with git lfs pull, or with shimmy pull";
        }
        if (starts("<!doctype") || starts("<html") || starts("<?xml"))
            return "a web page and no model: the download went wrong (a login, or a page about the file); try again";
        for (const std::string_view old : {"lmgg", "fmgg", "tjgg", "algg"}) {
            if (starts(old)) return "a model in a format from before GGUF: convert the original model again";
        }
        if (starts("PK\x03\x04") || starts("\x1f\x8b"))
            return "an archive, or a PyTorch checkpoint: unpack it, or convert it with convert_hf_to_gguf.py";
        if (starts("{\"") || is_safetensors())
            return "not a GGUF file: convert the model's folder with llama.cpp's convert_hf_to_gguf.py";
        return fmt::format("not a GGUF file (it starts with '{}')", printable(magic));
    }

    // The length of a header in JSON, then that header.
    bool is_safetensors() const {
        const std::string_view start = reader_.start(sizeof(uint64_t) + 1);
        if (start.size() <= sizeof(uint64_t) || start.back() != '{') return false;
        uint64_t n_header_bytes = 0;
        std::memcpy(&n_header_bytes, start.data(), sizeof(n_header_bytes));
        return n_header_bytes < n_file_bytes_;
    }

    void check_count(const char * what, uint64_t n, uint64_t min_bytes) const {
        const uint64_t n_possible = reader_.remaining() / min_bytes;
        if (n > n_possible) {
            fail("{}: the header claims {} {}, but the file has room for {} at most (truncated or damaged)", file_name_,
                 n, what, n_possible);
        }
    }

    ValueType parse_type(std::string_view key) {
        const auto number = reader_.number<uint32_t>("the metadata");
        if (number > static_cast<uint32_t>(ValueType::float64))
            fail("{}: metadata key '{}' has an unknown type ({})", file_name_, printable(key), number);
        return static_cast<ValueType>(number);
    }

    void parse_key(Metadata & metadata) {
        const std::string_view key = reader_.string("a metadata key");
        if (key.empty()) fail("{}: a metadata key is empty", file_name_);
        Value value;
        value.type = parse_type(key);
        if (value.type == ValueType::array) {
            value.is_array = true;
            value.type = parse_type(key);
            value.n = reader_.number<uint64_t>("the metadata");
            if (value.type == ValueType::array)
                fail("{}: metadata key '{}' is an array of arrays, which GGUF does not have", file_name_,
                     printable(key));
        }
        skip_value(key, value);
        if (!metadata.insert(key, value)) fail("{}: metadata key '{}' comes twice", file_name_, printable(key));
    }

    // Sets value.data, checks that all of it is there, and moves past it.
    void skip_value(std::string_view key, Value & value) {
        const bool is_string = value.type == ValueType::string;
        const uint64_t min_bytes = is_string ? sizeof(uint64_t) : size_of(value.type);
        if (value.n > MAX_ARRAY_ELEMENTS || value.n > reader_.remaining() / min_bytes) {
            fail("{}: metadata key '{}' claims {} values, more than the file can hold (truncated or damaged)",
                 file_name_, printable(key), value.n);
        }
        value.data = reader_.take(0, "the metadata");
        if (!is_string) {
            reader_.take(value.n * min_bytes, "the metadata");
            return;
        }
        for (uint64_t i = 0; i < value.n; ++i)
            reader_.string("a metadata string");
    }

    uint64_t parse_alignment(const Metadata & metadata) const {
        const Value * value = metadata.find("general.alignment");
        if (value == nullptr) return DEFAULT_ALIGNMENT;
        if (value->is_array || value->type != ValueType::uint32) fail("{}: general.alignment is not a u32", file_name_);
        const auto alignment = static_cast<uint64_t>(*metadata.find_int("general.alignment"));
        if (alignment == 0 || (alignment & (alignment - 1)) != 0)
            fail("{}: general.alignment is {}: not a power of two", file_name_, alignment);
        return alignment;
    }

    void parse_tensor(std::vector<TensorInfo> & tensors) {
        TensorInfo tensor;
        tensor.name = reader_.string("a tensor's name");
        if (tensor.name.size() >= GGML_MAX_NAME) {
            fail("{}: tensor name '{}' is too long ({} bytes, at most {})", file_name_, printable(tensor.name),
                 tensor.name.size(), GGML_MAX_NAME - 1);
        }
        // ggml's names end at a NUL: what follows would tell apart tensors that are one to it.
        if (tensor.name.find('\0') != std::string::npos)
            fail("{}: tensor name '{}' holds a NUL byte", file_name_, printable(tensor.name));
        if (!names_.insert(tensor.name).second) fail("{}: tensor '{}' comes twice", file_name_, printable(tensor.name));
        parse_shape(tensor);
        parse_tensor_type(tensor);
        tensor.offset_bytes = reader_.number<uint64_t>("the tensor table");
        tensors.push_back(std::move(tensor));
    }

    void parse_shape(TensorInfo & tensor) {
        const auto n_dims = reader_.number<uint32_t>("the tensor table");
        if (n_dims > GGML_MAX_DIMS)
            fail("{}: tensor '{}' has {} dimensions, at most {}", file_name_, printable(tensor.name), n_dims,
                 GGML_MAX_DIMS);
        int64_t n_elements = 1;
        bool overflow = false;
        for (uint32_t i = 0; i < n_dims; ++i) {
            tensor.shape.push_back(reader_.number<int64_t>("the tensor table"));
            if (tensor.shape.back() < 0)
                fail("{}: tensor '{}' has a dimension of {}", file_name_, printable(tensor.name), tensor.shape.back());
        }
        const bool is_empty = std::find(tensor.shape.begin(), tensor.shape.end(), 0) != tensor.shape.end();
        for (const int64_t n : tensor.shape)
            overflow = overflow || __builtin_mul_overflow(n_elements, n, &n_elements);
        if (overflow && !is_empty)
            fail("{}: tensor '{}' has an impossible shape [{}]", file_name_, printable(tensor.name),
                 fmt::join(tensor.shape, ", "));
        tensor.n_elements = is_empty ? 0 : static_cast<uint64_t>(n_elements);
    }

    void parse_tensor_type(TensorInfo & tensor) {
        const auto number = reader_.number<uint32_t>("the tensor table");
        const bool known = number < GGML_TYPE_COUNT && ggml_blck_size(static_cast<ggml_type>(number)) > 0;
        if (!known)
            fail("{}: tensor '{}' has an unknown type ({}); a newer format?", file_name_, printable(tensor.name),
                 number);
        const auto type = static_cast<ggml_type>(number);
        const auto block_size = static_cast<uint64_t>(ggml_blck_size(type));
        const auto row_size = static_cast<uint64_t>(tensor.shape.empty() ? 1 : tensor.shape.front());
        tensor.type = ggml_type_name(type);
        if (row_size % block_size != 0) {
            fail("{}: tensor '{}' has rows of {} values, not a multiple of the {} of a {} block", file_name_,
                 printable(tensor.name), row_size, block_size, tensor.type);
        }
        if (__builtin_mul_overflow(tensor.n_elements / block_size, ggml_type_size(type), &tensor.bytes)) {
            fail("{}: tensor '{}' has an impossible shape [{}]", file_name_, printable(tensor.name),
                 fmt::join(tensor.shape, ", "));
        }
    }

    // Weights follow the table in its order, each padded to the alignment. Turns offsets in the data section into
    // offsets in the file.
    void place_tensors(std::vector<TensorInfo> & tensors) const {
        if (tensors.empty()) return;
        const uint64_t data_start = (reader_.position() + alignment_ - 1) / alignment_ * alignment_;
        uint64_t expected = 0;
        uint64_t end = data_start;
        for (TensorInfo & tensor : tensors) {
            if (tensor.offset_bytes != expected) {
                fail("{}: tensor '{}' is at offset {}, expected {} (damaged)", file_name_, printable(tensor.name),
                     tensor.offset_bytes, expected);
            }
            uint64_t padded = 0;
            if (__builtin_add_overflow(tensor.bytes, alignment_ - 1, &padded)) fail_total();
            padded = padded / alignment_ * alignment_;
            if (__builtin_add_overflow(expected, padded, &expected) ||
                __builtin_add_overflow(tensor.offset_bytes, data_start, &tensor.offset_bytes) ||
                __builtin_add_overflow(tensor.offset_bytes, tensor.bytes, &end)) {
                fail_total();
            }
        }
        if (end > n_file_bytes_) {
            fail("{}: truncated: its weights need a file of {} bytes, but it has {} ({} bytes missing, {})", file_name_,
                 end, n_file_bytes_, end - n_file_bytes_, format_bytes(end - n_file_bytes_));
        }
    }

    [[noreturn]] void fail_total() const {
        fail("{}: the tensors' sizes add up to more than any file can hold (damaged)", file_name_);
    }

    const std::string & file_name_;
    uint64_t n_file_bytes_;
    Reader reader_;
    uint64_t alignment_ = DEFAULT_ALIGNMENT;
    std::unordered_set<std::string> names_;
};

}  // namespace

ParsedFile parse_gguf(std::span<const std::byte> bytes, const std::string & file_name) {
    return Parser(bytes, bytes.size(), file_name).parse();
}

uint64_t header_bytes_missing(std::span<const std::byte> start, uint64_t file_bytes, const std::string & file_name) {
    try {
        Parser(start, file_bytes, file_name).parse();
        return 0;
    } catch (const NeedsMore & needs) {
        return needs.n_bytes;
    }
}

}  // namespace shimmy::gguf

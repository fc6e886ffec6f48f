#include "gguf/gguf_file.h"

#include "base/error.h"
#include "base/files.h"
#include "base/text/text.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <unordered_set>

namespace shimmy::gguf {

namespace {

constexpr int64_t MAX_PARTS = 65535;  // split.count is a u16

// "model-00002-of-00003.gguf", as llama.cpp names the parts.
std::string part_suffix(int64_t part_no, int64_t n_parts) {
    return fmt::format("-{:05}-of-{:05}.gguf", part_no + 1, n_parts);
}

}  // namespace

// A file mapped for reading. The descriptor is closed at once: the mapping keeps the file.
class GgufFile::Mapping {
public:
    explicit Mapping(const fs::path & path) {
        require_readable_file(path);
        const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0) fail("{}: {}", path.string(), std::strerror(errno));
        struct stat status {};
        const bool is_file = ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
        n_bytes_ = is_file ? static_cast<size_t>(status.st_size) : 0;
        if (n_bytes_ > 0) data_ = ::mmap(nullptr, n_bytes_, PROT_READ, MAP_PRIVATE, fd, 0);
        const int error = errno;
        ::close(fd);
        if (!is_file) fail("{}: not a regular file", path.string());
        if (data_ == MAP_FAILED) fail("{}: cannot be mapped: {}", path.string(), std::strerror(error));
    }
    ~Mapping() { ::munmap(data_, n_bytes_); }  // does nothing for an empty file
    Mapping(const Mapping &) = delete;
    Mapping & operator=(const Mapping &) = delete;

    std::span<const std::byte> bytes() const { return {static_cast<const std::byte *>(data_), n_bytes_}; }

private:
    void * data_ = nullptr;
    size_t n_bytes_ = 0;
};

GgufFile::GgufFile(const fs::path & path) {
    metadata_ = read_part(path);
    read_other_parts();
}

GgufFile::~GgufFile() = default;
GgufFile::GgufFile(GgufFile &&) noexcept = default;
GgufFile & GgufFile::operator=(GgufFile &&) noexcept = default;

Metadata GgufFile::read_part(const fs::path & path) {
    auto mapping = std::make_unique<Mapping>(path);
    ParsedFile parsed = parse_gguf(mapping->bytes(), path.string());
    const int shard = static_cast<int>(shards_.size());
    for (TensorInfo & tensor : parsed.tensors) {
        tensor.shard = shard;
        tensors_.push_back(std::move(tensor));
    }
    version_ = parsed.version;
    size_bytes_ += mapping->bytes().size();
    shards_.push_back(path);
    mappings_.push_back(std::move(mapping));
    return std::move(parsed.metadata);
}

// Whether a second file begins behind the first one's weights.
bool GgufFile::another_follows() const {
    constexpr size_t LARGEST_PADDING_BYTES = 4096;
    const auto bytes = mappings_.front()->bytes();
    uint64_t end = 0;
    for (const TensorInfo & tensor : tensors_)
        end = std::max(end, tensor.offset_bytes + tensor.bytes);
    const std::string_view rest(reinterpret_cast<const char *>(bytes.data()) + end,
                                std::min<size_t>(bytes.size() - end, LARGEST_PADDING_BYTES));
    return rest.find("GGUF") != std::string_view::npos;
}

void GgufFile::read_other_parts() {
    const std::string first = shards_.front().string();
    const int64_t n_parts = metadata_.find_int("split.count").value_or(1);
    if (n_parts <= 1) return;
    if (n_parts > MAX_PARTS) fail("{}: claims to be split into {} parts", first, n_parts);
    const int64_t part_no = metadata_.find_int("split.no").value_or(0);
    const std::string suffix = part_suffix(part_no, n_parts);
    if (!first.ends_with(suffix) && another_follows())
        fail(
            "{}: is {} parts joined end to end, which no program reads: join them with llama-gguf-split --merge, or "
            "give the parts themselves",
            first, n_parts);
    if (!first.ends_with(suffix))
        fail("{}: is part {} of {}, so its name must end in {}", first, part_no + 1, n_parts, suffix);
    const std::string prefix = first.substr(0, first.size() - suffix.size());
    if (part_no != 0)
        fail("{}: is part {} of {}: give the first part, {}{}", first, part_no + 1, n_parts, prefix,
             part_suffix(0, n_parts));

    for (int64_t i = 1; i < n_parts; ++i) {
        const fs::path part = prefix + part_suffix(i, n_parts);
        if (!fs::exists(part)) fail("{}: part {} of {} is missing: {}", first, i + 1, n_parts, part.string());
        const Metadata metadata = read_part(part);
        if (metadata.find_int("split.no") != i || metadata.find_int("split.count") != n_parts) {
            fail("{}: is not part {} of {} by its own metadata", part.string(), i + 1, n_parts);
        }
    }
    std::unordered_set<std::string_view> names;
    for (const TensorInfo & tensor : tensors_) {
        if (!names.insert(tensor.name).second)
            fail("{}: tensor '{}' comes twice", shards_[static_cast<size_t>(tensor.shard)].string(),
                 printable(tensor.name));
    }
    const int64_t n_tensors = metadata_.find_int("split.tensors.count").value_or(static_cast<int64_t>(tensors_.size()));
    if (n_tensors != static_cast<int64_t>(tensors_.size()))
        fail("{}: its parts hold {} tensors, expected {}", first, tensors_.size(), n_tensors);
}

}  // namespace shimmy::gguf

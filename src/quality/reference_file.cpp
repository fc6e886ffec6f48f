#include "quality/reference_file.h"

#include "base/error.h"
#include "base/process/interrupt.h"

#include <cerrno>
#include <cstring>

namespace shimmy::quality {

namespace {

constexpr size_t SHA256_HEX_BYTES = 64;
constexpr size_t MAX_HEADER_BYTES = 1 << 16;
constexpr uint64_t MAX_BLOB_BYTES = uint64_t{1} << 40;

// Vectors behind their length, in this machine's byte order.
class Writer {
public:
    template <typename T>
    void number(T value) {
        bytes_.append(reinterpret_cast<const char *>(&value), sizeof(value));
    }
    template <typename T>
    void list(const T & values) {
        number(static_cast<uint64_t>(values.size()));
        bytes_.append(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(values[0]));
    }
    const std::string & bytes() const { return bytes_; }

private:
    std::string bytes_;
};

class Reader {
public:
    explicit Reader(const std::string & bytes) : bytes_(bytes) {}
    template <typename T>
    T number() {
        T value{};
        take(&value, sizeof(value));
        return value;
    }
    template <typename T>
    void list(T & values) {
        const auto n = number<uint64_t>();
        if (n > (bytes_.size() - at_) / sizeof(values[0])) fail("a list is longer than its chunk");
        values.resize(n);
        take(values.data(), n * sizeof(values[0]));
    }

private:
    void take(void * to, size_t n) {
        if (n > bytes_.size() - at_) fail("a chunk ends early");
        std::memcpy(to, bytes_.data() + at_, n);
        at_ += n;
    }
    const std::string & bytes_;
    size_t at_ = 0;
};

std::string read_line(std::FILE * file) {
    std::string line;
    for (int c = 0; (c = std::fgetc(file)) != EOF && c != '\n' && line.size() < MAX_HEADER_BYTES;)
        line += static_cast<char>(c);
    return line;
}

std::string packed(const ReferenceChunk & chunk) {
    Writer writer;
    writer.list(chunk.tokens);
    writer.list(chunk.nll);
    writer.list(chunk.rows);
    writer.number(static_cast<uint64_t>(chunk.routing.size()));
    for (const engine::LayerRouting & routing : chunk.routing) {
        writer.number(routing.layer);
        writer.number(routing.n_used);
        writer.list(routing.experts);
    }
    return writer.bytes();
}

ReferenceChunk unpacked(const std::string & bytes) {
    Reader reader(bytes);
    ReferenceChunk chunk;
    reader.list(chunk.tokens);
    reader.list(chunk.nll);
    reader.list(chunk.rows);
    const auto n_layers = reader.number<uint64_t>();
    for (uint64_t i = 0; i < n_layers; ++i) {
        engine::LayerRouting & routing = chunk.routing.emplace_back();
        routing.layer = reader.number<int>();
        routing.n_used = reader.number<int>();
        reader.list(routing.experts);
    }
    return chunk;
}

}  // namespace

ReferenceFile::ReferenceFile(const fs::path & path, const Json & header) : header_(header) {
    name_ = path.empty() ? "the temporary folder" : path.string();
    if (!path.empty()) part_ = std::make_unique<PartFile>(path);
    file_.reset(part_ ? std::fopen(part_->path().c_str(), "w+b") : std::tmpfile());
    if (!file_) fail("{}: no room for the base's predictions: {}", name_, std::strerror(errno));
    const std::string text = json_text(header, -1);
    const std::string lines = text + "\n" + sha256_hex(text) + "\n";
    if (std::fwrite(lines.data(), 1, lines.size(), file_.get()) != lines.size())
        fail("{}: {}", name_, std::strerror(errno));
    begin_ = static_cast<long>(lines.size());
}

ReferenceFile::ReferenceFile(const fs::path & path) : name_(path.string()), file_(std::fopen(path.c_str(), "rb")) {
    if (!file_) fail("{}: {}", name_, std::strerror(errno));
    const std::string text = read_line(file_.get());
    if (read_line(file_.get()) != sha256_hex(text)) fail("{}: the header has the wrong SHA-256", name_);
    header_ = parse_json(text);
    begin_ = std::ftell(file_.get());
    const uint64_t size_bytes = fs::file_size(path);
    while (static_cast<uint64_t>(std::ftell(file_.get())) < size_bytes) {
        check_interrupted();
        (void)read();
        ++n_chunks_;
    }
    if (header_.value("n_chunks", size_t{0}) != n_chunks_) fail("{}: ends early", name_);
    rewind();
}

void ReferenceFile::append(const ReferenceChunk & chunk) {
    const std::string bytes = packed(chunk);
    const std::string digest = sha256_hex(bytes);
    const auto n = static_cast<uint64_t>(bytes.size());
    const bool ok = std::fwrite(&n, sizeof(n), 1, file_.get()) == 1 &&
                    std::fwrite(digest.data(), 1, digest.size(), file_.get()) == digest.size() &&
                    std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) == bytes.size();
    if (!ok || std::fflush(file_.get()) != 0)
        fail("the base's predictions do not fit into {} ({}): use fewer --chunks", name_, std::strerror(errno));
    ++n_chunks_;
}

void ReferenceFile::commit() {
    if (part_) part_->commit();
    part_.reset();
    rewind();
}

void ReferenceFile::rewind() {
    std::fseek(file_.get(), begin_, SEEK_SET);
}

std::string ReferenceFile::read_blob() {
    uint64_t n = 0;
    std::string digest(SHA256_HEX_BYTES, '\0');
    const bool whole = std::fread(&n, sizeof(n), 1, file_.get()) == 1 && n < MAX_BLOB_BYTES &&
                       std::fread(digest.data(), 1, digest.size(), file_.get()) == digest.size();
    const long at = std::ftell(file_.get());
    std::fseek(file_.get(), 0, SEEK_END);
    const auto left = static_cast<uint64_t>(std::ftell(file_.get()) - at);
    std::fseek(file_.get(), at, SEEK_SET);
    if (!whole || n > left) fail("{}: ends early", name_);
    std::string bytes(n, '\0');
    if (std::fread(bytes.data(), 1, bytes.size(), file_.get()) != bytes.size())
        fail("{}: the base's predictions could not be read back: {}", name_, std::strerror(errno));
    if (sha256_hex(bytes) != digest) fail("{}: a chunk has the wrong SHA-256", name_);
    return bytes;
}

ReferenceChunk ReferenceFile::read() {
    return unpacked(read_blob());
}

}  // namespace shimmy::quality

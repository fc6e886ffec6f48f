#include "base/files.h"

#include "base/digest.h"
#include "base/error.h"

#include <fcntl.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

namespace shimmy {

namespace {

std::string reason() {
    return std::strerror(errno);
}

struct FileCloser {
    void operator()(std::FILE * file) const { std::fclose(file); }
};
using FileHandle = std::unique_ptr<std::FILE, FileCloser>;

FileHandle open_file(const fs::path & path, const char * mode) {
    FileHandle file(std::fopen(path.c_str(), mode));
    if (!file) fail("{}: {}", path.string(), reason());
    return file;
}

// Hands on all bytes of a file, in order.
void read_pieces(const fs::path & path, const std::function<void(std::string_view)> & take) {
    require_readable_file(path);
    const FileHandle file = open_file(path, "rb");
    std::vector<char> buffer(size_t{1} << 20);
    for (size_t n = 0; (n = std::fread(buffer.data(), 1, buffer.size(), file.get())) > 0;)
        take({buffer.data(), n});
    if (std::ferror(file.get()) != 0) fail("{}: {}", path.string(), reason());
}

}  // namespace

std::string read_file(const fs::path & path) {
    std::string content;
    read_pieces(path, [&](std::string_view piece) { content += piece; });
    return content;
}

void write_file_atomic(const fs::path & path, std::string_view content) {
    PartFile part(path);
    {
        const FileHandle file = open_file(part.path(), "wb");
        const bool written = std::fwrite(content.data(), 1, content.size(), file.get()) == content.size();
        if (!written || std::fflush(file.get()) != 0 || ::fsync(::fileno(file.get())) != 0) {
            fail("{}: {}", path.string(), reason());
        }
    }
    part.commit();
}

uint64_t free_disk_bytes(const fs::path & path) {
    fs::path existing = fs::absolute(path);
    while (!fs::exists(existing) && existing.has_parent_path() && existing != existing.parent_path()) {
        existing = existing.parent_path();
    }
    std::error_code error;
    const auto space = fs::space(existing, error);
    if (error) fail("{}: {}", existing.string(), error.message());
    return space.available;
}

void ensure_writable_dir(const fs::path & dir) {
    std::error_code error;
    fs::create_directories(dir, error);
    if (error) fail("{}: {}", dir.string(), error.message());
    // access() would say yes to root on a read-only file system: try it.
    const fs::path probe = dir / fmt::format(".shimmy-probe-{}", ::getpid());
    const int fd = ::open(probe.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0) fail("{}: cannot write here: {}", dir.string(), reason());
    ::close(fd);
    fs::remove(probe, error);
}

void require_readable_file(const fs::path & path) {
    std::error_code error;
    const auto status = fs::status(path, error);
    if (!fs::exists(status)) fail("{}: no such file", path.string());
    if (fs::is_directory(status)) fail("{}: is a folder, not a file", path.string());
    if (::access(path.c_str(), R_OK) != 0) fail("{}: {}", path.string(), reason());
}

std::string git_blob_oid(std::string_view bytes) {
    Digest hash(Digest::Kind::sha1);
    const std::string head = fmt::format("blob {}", bytes.size());
    hash.update({head.c_str(), head.size() + 1});  // the 0 belongs to it
    hash.update(bytes);
    return hash.hex();
}

std::string sha256_hex(std::string_view bytes) {
    Digest hash(Digest::Kind::sha256);
    hash.update(bytes);
    return hash.hex();
}

std::string sha256_file_hex(const fs::path & path, const ByteProgress & progress) {
    Digest hash(Digest::Kind::sha256);
    read_pieces(path, [&](std::string_view piece) {
        hash.update(piece);
        if (progress) progress(hash.n_bytes(), fs::file_size(path));
    });
    return hash.hex();
}

PartFile::PartFile(fs::path target) : target_(std::move(target)) {
    part_ = target_;
    part_ += fmt::format(".{}.part", ::getpid());
}

PartFile::~PartFile() {
    if (committed_) return;
    std::error_code ignored;
    fs::remove(part_, ignored);
}

void PartFile::commit() {
    std::error_code error;
    fs::rename(part_, target_, error);
    if (error) fail("{}: {}", target_.string(), error.message());
    committed_ = true;
}

void remove_stale_part_files(const fs::path & dir) {
    std::error_code ignored;
    for (const auto & entry : fs::directory_iterator(dir, ignored)) {
        if (entry.path().extension() != ".part") continue;
        const std::string pid_text = entry.path().stem().extension().string();  // ".1234"
        const long pid = pid_text.size() > 1 ? std::strtol(pid_text.c_str() + 1, nullptr, 10) : 0;
        const bool running = pid > 0 && (::kill(static_cast<pid_t>(pid), 0) == 0 || errno == EPERM);
        if (pid > 0 && !running) fs::remove(entry.path(), ignored);
    }
}

}  // namespace shimmy

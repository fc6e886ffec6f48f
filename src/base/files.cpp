#include "base/files.h"

#include "base/digest.h"
#include "base/error.h"

#include <fcntl.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
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
    if (std::ferror(file.get()) == 0) return;
    if (errno == EINTR) throw Interrupted();  // Ctrl-C, while a pipe or a terminal has nothing more
    fail("{}: {}", path.string(), reason());
}

// A file as its writer's user means it: a link to it is not replaced.
fs::path where_links_lead(const fs::path & path) {
    std::error_code error;
    if (!fs::is_symlink(path, error)) return path;
    fs::path target = fs::weakly_canonical(path, error);
    return error ? path : target;
}

// To disk, so that a crash of the machine cannot leave a name without its content. Some file systems of the network
// and of containers cannot do that. Returns whether it worked, with errno set.
bool sync(const fs::path & path, int flags) {
    const int fd = ::open(path.c_str(), flags | O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    const bool done = ::fsync(fd) == 0 || errno == EINVAL || errno == ENOTSUP;
    const int error = errno;
    ::close(fd);
    errno = error;
    return done;
}

}  // namespace

std::string read_file(const fs::path & path) {
    constexpr size_t MAX_BYTES = size_t{1} << 30;  // a device may have no end
    std::string content;
    read_pieces(path, [&](std::string_view piece) {
        content += piece;
        if (content.size() > MAX_BYTES) fail("{}: is larger than 1 GiB: that is no text", path.string());
    });
    return content;
}

void write_file_atomic(const fs::path & path, std::string_view content) {
    PartFile part(path);
    {
        const FileHandle file(std::fopen(part.path().c_str(), "wb"));
        if (!file) fail("{}: {}", path.string(), reason());
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

void make_folders(const fs::path & dir) {
    std::error_code error;
    fs::create_directories(dir, error);
    if (!error) return;
    for (fs::path above = dir; above != above.parent_path(); above = above.parent_path()) {
        std::error_code ignored;
        const fs::file_status status = fs::status(above, ignored);
        if (fs::exists(status) && !fs::is_directory(status))
            fail("{}: is a file, where a folder is needed", above.string());
    }
    fail("{}: {}", dir.string(), error.message());
}

void ensure_writable_dir(const fs::path & dir) {
    std::error_code error;
    make_folders(dir);
    // access() would say yes to root on a read-only file system: try it.
    const fs::path probe = dir / fmt::format(".shimmy-probe-{}", ::getpid());
    const int fd = ::open(probe.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0) fail("{}: cannot write here: {}", dir.string(), reason());
    ::close(fd);
    fs::remove(probe, error);
}

fs::path temporary_dir() {
    std::error_code error;
    fs::path dir = fs::temp_directory_path(error);
    if (!error) return dir;
    const char * named = std::getenv("TMPDIR");
    fail("{}: no folder for temporary files: set TMPDIR to one that can be written", named == nullptr ? "/tmp" : named);
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

namespace {

// A process that has ended, but whose end nobody has taken notice of, still has its number.
bool is_zombie(long pid) {
    std::ifstream file(fmt::format("/proc/{}/stat", pid));
    const std::string stat{std::istreambuf_iterator<char>(file), {}};
    const size_t name_end = stat.rfind(')');  // a name may hold anything
    return name_end != std::string::npos && stat.compare(name_end, 3, ") Z") == 0;
}

// "m.gguf.1234.part" of a process that no longer runs.
bool is_stale_part(const fs::path & path) {
    if (path.extension() != ".part") return false;
    const std::string pid_text = path.stem().extension().string();  // ".1234"
    const long pid = pid_text.size() > 1 ? std::strtol(pid_text.c_str() + 1, nullptr, 10) : 0;
    if (pid <= 0) return false;
    const bool exists = ::kill(static_cast<pid_t>(pid), 0) == 0 || errno == EPERM;
    return !exists || is_zombie(pid);
}

// What a kill left of earlier writers of this file.
void remove_stale_parts_of(const fs::path & target) {
    const fs::path dir = target.parent_path();
    const std::string prefix = target.filename().string() + ".";
    std::error_code ignored;
    for (const auto & entry : fs::directory_iterator(dir.empty() ? "." : dir, ignored)) {
        const bool of_target = entry.path().filename().string().starts_with(prefix);
        if (of_target && is_stale_part(entry.path())) fs::remove_all(entry.path(), ignored);
    }
}

fs::path part_of(const fs::path & target) {
    fs::path part = target;
    part += fmt::format(".{}.part", ::getpid());
    return part;
}

}  // namespace

PartFile::PartFile(const fs::path & target) : target_(where_links_lead(target)) {
    std::error_code ignored;
    if (fs::is_directory(target_, ignored)) fail_usage("{}: is a folder; give the name of a file", target.string());
    remove_stale_parts_of(target_);
    part_ = part_of(target_);
    on_fault_.emplace(part_);
}

PartFile::~PartFile() {
    if (committed_) return;
    std::error_code ignored;
    fs::remove(part_, ignored);
}

void PartFile::commit() {
    if (!sync(part_, 0)) fail("{}: {}", target_.string(), reason());
    std::error_code error;
    fs::rename(part_, target_, error);
    if (error) fail("{}: {}", target_.string(), error.message());
    committed_ = true;
    on_fault_.reset();
    const fs::path dir = target_.parent_path();
    (void)sync(dir.empty() ? fs::path(".") : dir, O_DIRECTORY);  // the file stands under its name either way
}

PartFolder::PartFolder(const fs::path & target) : dir_(part_of(target)) {
    remove_stale_parts_of(target);
    make_folders(dir_);
}

PartFolder::~PartFolder() {
    std::error_code ignored;
    fs::remove_all(dir_, ignored);
}

void remove_stale_part_files(const fs::path & dir) {
    std::error_code ignored;
    for (const auto & entry : fs::directory_iterator(dir, ignored)) {
        if (is_stale_part(entry.path())) fs::remove(entry.path(), ignored);
    }
}

}  // namespace shimmy

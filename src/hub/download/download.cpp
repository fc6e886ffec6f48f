#include "hub/download/download.h"

#include "base/process/interrupt.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <thread>

namespace shimmy::hub {

namespace {

// As the Hub's Python client locks: flock on a file beside the cache.
class BlobLock {
public:
    explicit BlobLock(const fs::path & file) {
        make_folders(file.parent_path());
        fd_ = ::open(file.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644);
        if (fd_ < 0) fail("{}: {}", file.string(), std::strerror(errno));
        while (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
            check_interrupted();
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
        }
    }
    ~BlobLock() { ::close(fd_); }
    BlobLock(const BlobLock &) = delete;
    BlobLock & operator=(const BlobLock &) = delete;

private:
    int fd_;
};

// Appends to what an earlier download left.
class GrowingFile {
public:
    explicit GrowingFile(fs::path path)
        : path_(std::move(path)), fd_(::open(path_.c_str(), O_CREAT | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0644)) {
        if (fd_ < 0 && errno == ELOOP)
            fail("{}: is a symbolic link, which no download leaves: remove it, and run the command again",
                 path_.string());
        if (fd_ < 0) fail("{}: {}", path_.string(), std::strerror(errno));
        size_ = fs::file_size(path_);
        ::lseek(fd_, 0, SEEK_END);
    }
    ~GrowingFile() { ::close(fd_); }
    GrowingFile(const GrowingFile &) = delete;
    GrowingFile & operator=(const GrowingFile &) = delete;

    uint64_t size() const { return size_; }
    void append(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
            if (n < 0) fail("{}: {}", path_.string(), std::strerror(errno));
            bytes.remove_prefix(static_cast<size_t>(n));
            size_ += static_cast<uint64_t>(n);
        }
    }
    void clear() {
        if (::ftruncate(fd_, 0) != 0) fail("{}: {}", path_.string(), std::strerror(errno));
        ::lseek(fd_, 0, SEEK_SET);
        size_ = 0;
    }
    void sync() {
        if (::fsync(fd_) != 0) fail("{}: {}", path_.string(), std::strerror(errno));
    }

private:
    fs::path path_;
    int fd_;
    uint64_t size_ = 0;
};

// An answer without an error and without a byte, again and again.
class NoProgress : public TransportError {
public:
    using TransportError::TransportError;
};

bool has_hash(const fs::path & path, const RemoteFile & file) {
    if (file.is_large()) return sha256_file_hex(path, [](uint64_t, uint64_t) { check_interrupted(); }) == file.sha256;
    return git_blob_oid(read_file(path)) == file.git_oid;
}

bool is_hash(const std::string & text) {
    const bool hex = text.find_first_not_of("0123456789abcdef") == std::string::npos;
    return hex && (text.size() == 40 || text.size() == 64);
}

// Changes with every write to the file, and with its replacement.
std::string state_of(const fs::path & file) {
    struct stat status {};
    if (::stat(file.c_str(), &status) != 0) return "";
    return fmt::format("{} {} {} {}.{:09}", status.st_dev, status.st_ino, status.st_size, status.st_mtim.tv_sec,
                       status.st_mtim.tv_nsec);
}

void set_checked(const RepositoryCache & cache, const std::string & etag, const fs::path & blob) {
    try {
        write_file_atomic(cache.checked_path(etag), state_of(blob));
    } catch (const Error &) {  // it is checked again next time
    }
}

// A file of the right size may hold other bytes (a disk that failed, a copy that was cut and padded): each is hashed
// once, and again when it has changed.
bool is_checked(const RepositoryCache & cache, const RemoteFile & file, const fs::path & blob) {
    std::error_code ignored;
    const fs::path record = cache.checked_path(file.etag());
    if (fs::is_regular_file(record, ignored) && read_file(record) == state_of(blob)) return true;
    if (!has_hash(blob, file)) return false;
    set_checked(cache, file.etag(), blob);
    return true;
}

// Returns the bytes that came.
uint64_t fetch(const Api & api, const std::string & repo, const std::string & path, const RemoteFile & file,
               GrowingFile & target, const ByteProgress & progress) {
    uint64_t fetched_bytes = 0;
    const std::string what = fmt::format("{}/{}", repo, file.path);
    Backoff backoff(what, api.note());
    while (target.size() < file.size_bytes) {
        const uint64_t before = target.size();
        Request request = api.request("GET", path);
        request.range = ByteRange{before, file.size_bytes - before};
        request.on_body = [&](std::string_view bytes) {
            target.append(bytes);
            fetched_bytes += bytes.size();
            if (progress) progress(target.size(), file.size_bytes);
        };
        try {
            const Response response = send(request);
            if (response.ok() && response.status != 206 && before > 0)
                fail("{}: the server does not support byte ranges", display_url(response.url));
            if (response.status == 416) {
                target.clear();
                fail(
                    "{}: the server has fewer bytes than the {} that it named: what it sends in place of the file may "
                    "be a page or a pointer; run the command again, which begins anew",
                    what, file.size_bytes);
            }
            if (!response.ok() && !backoff.again(response)) api.fail_answer(response, what);
            if (response.ok() && target.size() == before) {
                const NoProgress nothing(fmt::format("{}: the server sent no bytes", what));
                if (!backoff.again(nothing)) throw nothing;
            }
            if (response.ok() && target.size() > before) backoff.reset();
        } catch (const NoProgress &) {
            throw;
        } catch (const TransportError & error) {
            if (target.size() > before) backoff.reset();
            if (!backoff.again(error)) throw;
        }
    }
    return fetched_bytes;
}

}  // namespace

uint64_t missing_bytes_of(const RepositoryCache & cache, const RemoteFile & file) {
    std::error_code error;
    const uint64_t whole = fs::file_size(cache.blob_path(file.etag()), error);
    if (!error && whole == file.size_bytes) return 0;
    const uint64_t begun = fs::file_size(cache.incomplete_path(file.etag()), error);  // the largest number if none is
    return begun > file.size_bytes ? file.size_bytes : file.size_bytes - begun;
}

uint64_t download(const Api & api, const std::string & repo, const std::string & commit, const RemoteFile & file,
                  const RepositoryCache & cache, const ByteProgress & progress) {
    const fs::path blob = cache.blob_path(file.etag());
    const fs::path incomplete = cache.incomplete_path(file.etag());
    make_folders(blob.parent_path());
    const BlobLock lock(cache.lock_path(file.etag()));
    std::error_code ignored;
    uint64_t fetched_bytes = 0;
    if (!is_hash(file.etag())) fail("{}/{}: the Hub names no hash of it", repo, file.path);
    const bool is_whole =
        fs::is_regular_file(blob, ignored) && fs::file_size(blob) == file.size_bytes && is_checked(cache, file, blob);
    if (!is_whole) {
        const auto fetch_rest = [&](bool from_the_start) {
            GrowingFile target(incomplete);
            if (from_the_start || target.size() > file.size_bytes) target.clear();
            const bool is_rest = target.size() > 0;
            fetched_bytes += fetch(api, repo, resolve_path(repo, commit, file.path), file, target, progress);
            target.sync();
            return is_rest;
        };
        // What an earlier download left may be what is wrong.
        const bool is_rest = fetch_rest(false);
        bool good = has_hash(incomplete, file);
        if (!good && is_rest) {
            fetch_rest(true);
            good = has_hash(incomplete, file);
        }
        if (!good) {
            fs::remove(incomplete, ignored);
            fail(
                "{}/{}: what came is not what the Hub named (its hash differs): nothing was kept; run the command "
                "again",
                repo, file.path);
        }
        fs::rename(incomplete, blob);
        set_checked(cache, file.etag(), blob);
    }
    cache.link(commit, file.path, file.etag());
    return fetched_bytes;
}

}  // namespace shimmy::hub

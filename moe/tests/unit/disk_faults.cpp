#include "disk_faults.h"

#include <fcntl.h>
#include <sys/types.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdarg>

namespace {

std::atomic<int> read_error{0};
std::atomic<bool> files_end{false}, refuses_opening{false}, refuses_reading{false};
std::atomic<size_t> most_bytes{0};
std::atomic<int> direct{0}, buffered{0};

void heal() {
    read_error = 0;
    files_end = refuses_opening = refuses_reading = false;
    most_bytes = 0;
    direct = buffered = 0;
}

}  // namespace

DiskFaults::DiskFaults() {
    heal();
}
DiskFaults::~DiskFaults() {
    heal();
}
void DiskFaults::fail_reads(int error) {
    read_error = error;
}
void DiskFaults::end_files() {
    files_end = true;
}
void DiskFaults::shorten_reads(size_t bytes) {
    most_bytes = bytes;
}
void DiskFaults::refuse_to_open_directly() {
    refuses_opening = true;
}
void DiskFaults::refuse_to_read_directly() {
    refuses_reading = true;
}
int DiskFaults::direct_reads() const {
    return direct;
}
int DiskFaults::buffered_reads() const {
    return buffered;
}

extern "C" {

int __real_open(const char * path, int flags, ...);
ssize_t __real_pread(int fd, void * to, size_t bytes, off_t offset);

int __wrap_open(const char * path, int flags, ...) {
    if (refuses_opening && (flags & O_DIRECT) != 0) {
        errno = EINVAL;
        return -1;
    }
    va_list rest;
    va_start(rest, flags);
    const int mode = (flags & O_CREAT) != 0 ? va_arg(rest, int) : 0;
    va_end(rest);
    return __real_open(path, flags, mode);
}

ssize_t __wrap_pread(int fd, void * to, size_t bytes, off_t offset) {
    const bool is_direct = (fcntl(fd, F_GETFL) & O_DIRECT) != 0;
    ++(is_direct ? direct : buffered);
    const int error = is_direct && refuses_reading ? EINVAL : read_error.load();
    if (error != 0) {
        errno = error;
        return -1;
    }
    if (files_end) return 0;
    const size_t most = most_bytes;
    return __real_pread(fd, to, most > 0 ? std::min(bytes, most) : bytes, offset);
}

}  // extern "C"

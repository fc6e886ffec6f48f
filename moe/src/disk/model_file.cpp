#include "model_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "ggml.h"
#include "gguf.h"

namespace moe {

namespace {

// A line of /proc/self/maps, of the range that holds the address.
struct Mapping {
    uint64_t begin = 0, offset = 0, inode = 0;
    unsigned major = 0, minor = 0;
    std::string path;
};

bool find_mapping(const void * address, Mapping & found) {
    FILE * maps = std::fopen("/proc/self/maps", "re");
    if (maps == nullptr) return false;
    const uint64_t wanted = reinterpret_cast<uintptr_t>(address);
    bool is_found = false;
    char * line = nullptr;
    size_t capacity = 0;
    while (!is_found && getline(&line, &capacity, maps) > 0) {
        uint64_t begin = 0, end = 0, offset = 0, inode = 0;
        unsigned major = 0, minor = 0;
        int at = 0;
        const int n = std::sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64 " %x:%x %" SCNu64 " %n", &begin, &end,
                                  &offset, &major, &minor, &inode, &at);
        if (n < 6 || wanted < begin || wanted >= end) continue;
        found = {begin, offset, inode, major, minor, line + at};
        while (!found.path.empty() && found.path.back() == '\n') {
            found.path.pop_back();
        }
        is_found = true;
    }
    std::free(line);
    std::fclose(maps);
    return is_found;
}

bool is_same_file(const struct stat & status, const Mapping & m) {
    return S_ISREG(status.st_mode) && status.st_ino == m.inode &&
           // Some file systems (btrfs) show another device number in the map than in stat.
           (makedev(m.major, m.minor) == status.st_dev || major(status.st_dev) == 0);
}

}  // namespace

std::shared_ptr<ModelFile> ModelFile::at(const void * address) {
    Mapping m;
    if (!find_mapping(address, m) || m.path.empty() || m.path[0] != '/') return nullptr;
    const int fd = open(m.path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return nullptr;
    std::shared_ptr<ModelFile> file(new ModelFile);
    file->buffered_ = fd;
    struct stat status {};
    if (fstat(fd, &status) != 0 || !is_same_file(status, m)) return nullptr;
    file->bytes_ = static_cast<uint64_t>(status.st_size);
    file->path_ = m.path;
    file->address_ = reinterpret_cast<const uint8_t *>(static_cast<uintptr_t>(m.begin));
    file->offset_ = m.offset;
    file->direct_ = open(m.path.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECT);
    posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
    return file;
}

ModelFile::~ModelFile() {
    if (buffered_ >= 0) close(buffered_);
    if (direct_ >= 0) close(direct_);
}

bool ModelFile::became_shorter() const {
    struct stat status {};
    return fstat(buffered_, &status) == 0 && static_cast<uint64_t>(status.st_size) < bytes_;
}

uint64_t ModelFile::offset_of(const void * address) const {
    return offset_ + static_cast<uint64_t>(static_cast<const uint8_t *>(address) - address_);
}

std::vector<ModelFile::Tensor> ModelFile::tensors() const {
    std::vector<Tensor> all;
    ggml_context * shapes = nullptr;
    gguf_context * header = gguf_init_from_file(path_.c_str(), {true, &shapes});
    if (header == nullptr) return all;
    for (int64_t i = 0; i < gguf_get_n_tensors(header); ++i) {
        Tensor t;
        t.name = gguf_get_tensor_name(header, i);
        t.offset = gguf_get_data_offset(header) + gguf_get_tensor_offset(header, i);
        const ggml_tensor * shape = ggml_get_tensor(shapes, t.name.c_str());
        t.bytes = ggml_nbytes(shape);
        const bool is_expert = t.name.compare(0, 4, "blk.") == 0 && t.name.find("_exps.") != std::string::npos;
        if (is_expert && ggml_n_dims(shape) == 3) {
            t.experts = shape->ne[2];
            t.layer = static_cast<int32_t>(std::strtol(t.name.c_str() + 4, nullptr, 10));
        }
        all.push_back(std::move(t));
    }
    gguf_free(header);
    ggml_free(shapes);
    return all;
}

int ModelFile::read(uint64_t from, uint64_t to, uint8_t * memory) const {
    const uint64_t begin = from / PAGE * PAGE, end = (to + PAGE - 1) / PAGE * PAGE;
    const size_t needed = static_cast<size_t>(to - begin), bytes = static_cast<size_t>(end - begin);
    const int direct = __atomic_load_n(&direct_, __ATOMIC_RELAXED);
    if (direct >= 0) {
        const int error = read_from(direct, begin, needed, bytes, memory);
        if (error != EINVAL) return error;
    }
    // A file system that opens files for direct reads and then refuses them, or does not even open them.
    const int error = read_from(buffered_, begin, needed, bytes, memory);
    posix_fadvise(buffered_, static_cast<off_t>(begin), static_cast<off_t>(bytes), POSIX_FADV_DONTNEED);
    return error;
}

int ModelFile::read_from(int fd, uint64_t begin, size_t needed, size_t bytes, uint8_t * memory) const {
    for (size_t done = 0; done < needed;) {
        const ssize_t n = pread(fd, memory + done, bytes - done, static_cast<off_t>(begin + done));
        if (n == 0) return TOO_SHORT;
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno;
        done += static_cast<size_t>(n);
        // A direct read that stops amid a page stops at the file's end.
        if (done < needed && done % PAGE != 0) return TOO_SHORT;
    }
    return 0;
}

void ModelFile::drop(uint64_t from, uint64_t to) const {
    posix_fadvise(buffered_, static_cast<off_t>(from), static_cast<off_t>(to - from), POSIX_FADV_DONTNEED);
}

}  // namespace moe

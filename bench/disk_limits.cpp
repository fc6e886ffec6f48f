#include "disk_limits.h"

#include <fcntl.h>
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t PAGE = 4096;
constexpr double SECONDS = 0.6;  // of each figure
constexpr size_t KIB = 1024, MIB = 1024 * KIB;
constexpr size_t SIZES[] = {64 * KIB, 256 * KIB, MIB, 2 * MIB, 8 * MIB};
constexpr int DEPTHS[] = {1, 2, 4, 8, 16, 32};
constexpr int MAX_DEPTH = 32;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

// The file, and an order of its blocks in which none comes twice.
class Blocks {
public:
    Blocks(const char * file, int flags) : fd_(open(file, O_RDONLY | O_CLOEXEC | flags)) {
        struct stat status {};
        if (fd_ >= 0 && fstat(fd_, &status) == 0) bytes_ = static_cast<size_t>(status.st_size);
    }
    ~Blocks() {
        if (fd_ >= 0) close(fd_);
    }
    Blocks(const Blocks &) = delete;
    Blocks & operator=(const Blocks &) = delete;

    bool is_open() const { return fd_ >= 0; }
    int fd() const { return fd_; }
    size_t bytes() const { return bytes_; }
    size_t count() const { return order_.size(); }
    size_t at(size_t i) const { return order_[i] * size_; }

    // What lies in the page cache of earlier figures goes.
    void shuffle(size_t size) {
        posix_fadvise(fd_, 0, 0, POSIX_FADV_DONTNEED);
        size_ = size;
        order_.resize(bytes_ / size);
        std::iota(order_.begin(), order_.end(), size_t{0});
        std::shuffle(order_.begin(), order_.end(), random_);
    }

private:
    int fd_;
    size_t bytes_ = 0, size_ = 1;
    std::vector<size_t> order_;
    std::mt19937_64 random_{std::random_device{}()};
};

class Memory {
public:
    explicit Memory(size_t bytes) : data_(static_cast<char *>(std::aligned_alloc(2 * MIB, bytes))) {
        if (data_ == nullptr) std::abort();
        madvise(data_, bytes, MADV_HUGEPAGE);
        std::memset(data_, 1, bytes);
    }
    ~Memory() { std::free(data_); }
    Memory(const Memory &) = delete;
    Memory & operator=(const Memory &) = delete;
    char * data() const { return data_; }

private:
    char * data_;
};

// `read(offset, slot)` reads one block and says whether it could; `depth` threads each read one after another.
double threads_gbps(Blocks & blocks, size_t size, int depth, const std::function<bool(size_t, int)> & read) {
    blocks.shuffle(size);
    std::atomic<size_t> next{0}, done{0};
    std::atomic<bool> failed{false};
    const auto start = Clock::now();
    std::vector<std::thread> threads;
    for (int slot = 0; slot < depth; ++slot) {
        threads.emplace_back([&, slot] {
            while (seconds_since(start) < SECONDS && !failed) {
                const size_t i = next++;
                if (i >= blocks.count()) return;
                if (read(blocks.at(i), slot)) {
                    done += size;
                } else {
                    failed = true;
                }
            }
        });
    }
    for (std::thread & thread : threads)
        thread.join();
    return failed ? -1 : static_cast<double>(done) / seconds_since(start) / 1e9;
}

double pread_gbps(Blocks & blocks, size_t size, int depth, char * memory) {
    return threads_gbps(blocks, size, depth, [&](size_t offset, int slot) {
        return pread(blocks.fd(), memory + static_cast<size_t>(slot) * size, size, static_cast<off_t>(offset)) ==
               static_cast<ssize_t>(size);
    });
}

// The kernel's io_uring without a library: one ring, reads only.
class Ring {
public:
    explicit Ring(unsigned entries) {
        io_uring_params p{};
        fd_ = static_cast<int>(syscall(__NR_io_uring_setup, entries, &p));
        if (fd_ < 0) return;
        const size_t bytes =
            std::max<size_t>(p.sq_off.array + p.sq_entries * 4, p.cq_off.cqes + p.cq_entries * sizeof(io_uring_cqe));
        ring_ = static_cast<char *>(map(bytes, IORING_OFF_SQ_RING));
        sqes_ = static_cast<io_uring_sqe *>(map(p.sq_entries * sizeof(io_uring_sqe), IORING_OFF_SQES));
        p_ = p;
    }
    ~Ring() {
        if (fd_ >= 0) close(fd_);  // the mappings stay: a program that ends soon
    }
    Ring(const Ring &) = delete;
    Ring & operator=(const Ring &) = delete;

    bool is_open() const { return fd_ >= 0 && ring_ != MAP_FAILED && (p_.features & IORING_FEAT_SINGLE_MMAP) != 0; }

    void push(int fd, void * to, size_t bytes, size_t offset, int slot) {
        const unsigned tail = *word(p_.sq_off.tail), at = tail & *word(p_.sq_off.ring_mask);
        io_uring_sqe & e = sqes_[at];
        e = {};
        e.opcode = IORING_OP_READ;
        e.fd = fd;
        e.addr = reinterpret_cast<uint64_t>(to);
        e.len = static_cast<uint32_t>(bytes);
        e.off = offset;
        e.user_data = static_cast<uint64_t>(slot);
        word(p_.sq_off.array)[at] = at;
        __atomic_store_n(word(p_.sq_off.tail), tail + 1, __ATOMIC_RELEASE);
        ++unsubmitted_;
    }
    // Submits, waits for one completion; its slot and result.
    bool pop(int & slot, int & result) {
        while (true) {
            const unsigned head = *word(p_.cq_off.head);
            if (head != __atomic_load_n(word(p_.cq_off.tail), __ATOMIC_ACQUIRE) && unsubmitted_ == 0) {
                const auto * cqes = reinterpret_cast<const io_uring_cqe *>(ring_ + p_.cq_off.cqes);
                const io_uring_cqe & c = cqes[head & *word(p_.cq_off.ring_mask)];
                slot = static_cast<int>(c.user_data);
                result = c.res;
                __atomic_store_n(word(p_.cq_off.head), head + 1, __ATOMIC_RELEASE);
                return true;
            }
            if (syscall(__NR_io_uring_enter, fd_, unsubmitted_, 1u, IORING_ENTER_GETEVENTS, nullptr, 0) < 0 &&
                errno != EINTR) {
                return false;
            }
            unsubmitted_ = 0;
        }
    }

private:
    void * map(size_t bytes, off_t what) const {
        return mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd_, what);
    }
    uint32_t * word(uint32_t offset) const { return reinterpret_cast<uint32_t *>(ring_ + offset); }

    int fd_ = -1;
    char * ring_ = nullptr;
    io_uring_sqe * sqes_ = nullptr;
    io_uring_params p_{};
    unsigned unsubmitted_ = 0;
};

double uring_gbps(Blocks & blocks, size_t size, int depth, char * memory) {
    Ring ring(MAX_DEPTH);
    if (!ring.is_open()) return -1;
    blocks.shuffle(size);
    const auto start = Clock::now();
    size_t next = 0, done = 0;
    int in_flight = 0;
    const auto push = [&](int slot) {
        if (next >= blocks.count() || seconds_since(start) >= SECONDS) return;
        ring.push(blocks.fd(), memory + static_cast<size_t>(slot) * size, size, blocks.at(next++), slot);
        ++in_flight;
    };
    for (int slot = 0; slot < depth; ++slot)
        push(slot);
    for (int slot = 0, result = 0; in_flight > 0; push(slot)) {
        if (!ring.pop(slot, result) || result != static_cast<int>(size)) return -1;
        --in_flight;
        done += size;
    }
    return static_cast<double>(done) / seconds_since(start) / 1e9;
}

volatile char sink;

// Maps the file; every thread advises a block and then reads a byte of each of its pages, as kernels do.
double mapped_gbps(Blocks & blocks, size_t size, int depth, int whole_advice, int advice) {
    blocks.shuffle(size);
    void * map = mmap(nullptr, blocks.bytes(), PROT_READ, MAP_SHARED, blocks.fd(), 0);
    if (map == MAP_FAILED) return -1;
    madvise(map, blocks.bytes(), whole_advice);
    const double rate = threads_gbps(blocks, size, depth, [&](size_t offset, int) {
        char * data = static_cast<char *>(map) + offset;
        if (advice >= 0 && madvise(data, size, advice) != 0) return false;
        for (size_t i = 0; i < size; i += PAGE)
            sink = data[i];
        return true;
    });
    munmap(map, blocks.bytes());
    return rate;
}

struct Way {
    const char * name;
    bool direct;
    std::function<double(Blocks &, size_t, int, char *)> run;
};

const std::vector<Way> & ways() {
#ifdef MADV_POPULATE_READ
    constexpr int populate = MADV_POPULATE_READ;
#else
    constexpr int populate = 22;
#endif
    static const auto mapped = [](int whole, int advice) {
        return [=](Blocks & b, size_t size, int depth, char *) { return mapped_gbps(b, size, depth, whole, advice); };
    };
    static const std::vector<Way> all = {
        {"direct, threads", true, pread_gbps},
        {"direct, io_uring", true, uring_gbps},
        {"buffered, threads", false, pread_gbps},
        {"buffered, io_uring", false, uring_gbps},
        {"mapped", false, mapped(MADV_NORMAL, -1)},
        {"mapped, random", false, mapped(MADV_RANDOM, -1)},
        {"mapped, willneed", false, mapped(MADV_NORMAL, MADV_WILLNEED)},
        {"mapped, populate", false, mapped(MADV_NORMAL, populate)},
    };
    return all;
}

}  // namespace

int disk_limits(const char * file) {
    const Memory memory(MAX_DEPTH * SIZES[std::size(SIZES) - 1]);
    const char * separator = "";
    std::printf("{");
    for (const Way & way : ways()) {
        Blocks blocks(file, way.direct ? O_DIRECT : 0);
        if (!blocks.is_open() || blocks.bytes() < MAX_DEPTH * SIZES[std::size(SIZES) - 1]) {
            if (way.direct && errno == EINVAL) continue;  // a file system without direct reads
            std::fprintf(stderr, "machine-limits: %s: cannot be read, or is too small\n", file);
            return 1;
        }
        for (const size_t size : SIZES) {
            for (const int depth : DEPTHS) {
                const double gbps = way.run(blocks, size, depth, memory.data());
                std::printf("%s\n  \"%s, %zu KiB, %d\": %.2f", separator, way.name, size / KIB, depth, gbps);
                std::fflush(stdout);
                separator = ",";
            }
        }
    }
    std::printf("\n}\n");
    return 0;
}

// File descriptors: who closes them, and how they are handed to another process.
#pragma once

#include <unistd.h>

#include <optional>
#include <utility>

namespace shimmy {

// A descriptor that is closed with its owner. -1: none.
class Descriptor {
public:
    explicit Descriptor(int fd = -1) : fd_(fd) {}
    ~Descriptor() { reset(); }
    Descriptor(Descriptor && other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Descriptor & operator=(Descriptor && other) noexcept {
        if (this != &other) reset(std::exchange(other.fd_, -1));
        return *this;
    }
    Descriptor(const Descriptor &) = delete;
    Descriptor & operator=(const Descriptor &) = delete;

    int fd() const { return fd_; }
    // Closes it, and owns another one.
    void reset(int fd = -1) {
        if (fd_ >= 0) ::close(fd_);
        fd_ = fd;
    }

private:
    int fd_;
};

// Two ends that are connected; closed by exec. Throws Error.
std::pair<Descriptor, Descriptor> socket_pair();

// Hands `fd` to whoever reads the other end of `socket`. False if nobody does. Nothing is allocated, so that a child
// may do it between fork and exec.
bool send_descriptor(int socket, int fd);

// Waits for the next one, and passes over what else comes; nullopt when the other side is gone.
std::optional<Descriptor> receive_descriptor(int socket);

}  // namespace shimmy

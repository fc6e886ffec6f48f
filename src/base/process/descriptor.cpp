#include "base/process/descriptor.h"

#include "base/error.h"
#include "base/process/uninterrupted.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace shimmy {

namespace {

// A message of one byte, as there is none without any, with room for one descriptor beside it.
struct Envelope {
    char byte = 0;
    iovec data{&byte, 1};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> buffer{};
    msghdr message{};

    Envelope() {
        message.msg_iov = &data;
        message.msg_iovlen = 1;
        message.msg_control = buffer.data();
        message.msg_controllen = buffer.size();
    }
    Envelope(const Envelope &) = delete;  // it points into itself
    Envelope & operator=(const Envelope &) = delete;
};

}  // namespace

std::pair<Descriptor, Descriptor> socket_pair() {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
        fail("socketpair: {}", std::strerror(errno));
    return {Descriptor(ends[0]), Descriptor(ends[1])};
}

bool send_descriptor(int socket, int fd) {
    Envelope envelope;
    cmsghdr * header = CMSG_FIRSTHDR(&envelope.message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &fd, sizeof(fd));
    return uninterrupted([&] { return ::sendmsg(socket, &envelope.message, MSG_NOSIGNAL); }) == 1;
}

std::optional<Descriptor> receive_descriptor(int socket) {
    while (true) {
        Envelope envelope;
        if (uninterrupted([&] { return ::recvmsg(socket, &envelope.message, MSG_CMSG_CLOEXEC); }) <= 0)
            return std::nullopt;
        const cmsghdr * header = CMSG_FIRSTHDR(&envelope.message);
        if (header == nullptr || header->cmsg_type != SCM_RIGHTS) continue;
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(header), sizeof(fd));
        return Descriptor(fd);
    }
}

}  // namespace shimmy

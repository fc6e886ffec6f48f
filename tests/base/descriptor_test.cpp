#include "base/process/descriptor.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>

namespace shimmy {
namespace {

bool is_open(int fd) {
    return ::fcntl(fd, F_GETFD) >= 0;
}

std::string text_of(int socket) {
    std::array<char, 16> text{};
    const ssize_t n = ::recv(socket, text.data(), text.size(), 0);
    return n > 0 ? std::string(text.data(), static_cast<size_t>(n)) : "";
}

TEST(Descriptor, IsClosedOnceWithItsOwner) {
    EXPECT_EQ(Descriptor().fd(), -1);
    int fd = -1;
    {
        Descriptor first(::open("/dev/null", O_RDONLY));
        fd = first.fd();
        Descriptor second(std::move(first));
        EXPECT_EQ(first.fd(), -1);
        EXPECT_TRUE(is_open(fd));
        Descriptor & same = second;
        second = std::move(same);
        EXPECT_TRUE(is_open(fd)) << "moved into itself";
        Descriptor third(::open("/dev/zero", O_RDONLY));
        const int replaced = third.fd();
        third = std::move(second);
        EXPECT_FALSE(is_open(replaced));
        EXPECT_TRUE(is_open(fd));
    }
    EXPECT_FALSE(is_open(fd));
    Descriptor one(::open("/dev/null", O_RDONLY));
    fd = one.fd();
    one.reset();
    EXPECT_FALSE(is_open(fd));
}

TEST(Descriptor, EndsAreConnectedAndClosedByExec) {
    const auto [ours, theirs] = socket_pair();
    ASSERT_EQ(::send(ours.fd(), "a", 1, 0), 1);
    EXPECT_EQ(text_of(theirs.fd()), "a");
    for (const int fd : {ours.fd(), theirs.fd()})
        EXPECT_EQ(::fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

TEST(Descriptor, HandedOverItIsTheSameFile) {
    auto [ours, theirs] = socket_pair();
    {
        auto [near, far] = socket_pair();
        ASSERT_EQ(::send(ours.fd(), "no descriptor", 13, 0), 13);
        ASSERT_TRUE(send_descriptor(ours.fd(), far.fd()));
        far.reset();
        const std::optional<Descriptor> received = receive_descriptor(theirs.fd());
        ASSERT_TRUE(received);
        EXPECT_EQ(::fcntl(received->fd(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        ASSERT_EQ(::send(received->fd(), "b", 1, 0), 1);
        EXPECT_EQ(text_of(near.fd()), "b");
    }
    ours.reset();
    EXPECT_FALSE(receive_descriptor(theirs.fd())) << "nobody is there";
    EXPECT_FALSE(send_descriptor(theirs.fd(), theirs.fd())) << "and no signal ends the process";
}

}  // namespace
}  // namespace shimmy

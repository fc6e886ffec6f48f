#include "serve/listen/bind.h"

#include "base/error.h"
#include "serve/listen/port_owner.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace shimmy::serve {

namespace {

// Why the address could not be had, as errno has it, from trying it again; 0: it can be had now.
int bind_errno(const addrinfo & address) {
    const int fd = ::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int yes = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    const bool bound = ::bind(fd, address.ai_addr, address.ai_addrlen) == 0 && ::listen(fd, 1) == 0;
    const int error = bound ? 0 : errno;
    ::close(fd);
    return error;
}

}  // namespace

void fail_to_bind(const Address & address, const std::string & option) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE;
    addrinfo * found = nullptr;
    const int rc = ::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
    if (rc != 0) fail("{}: {} (choose another address with {})", address.host, ::gai_strerror(rc), option);
    const std::unique_ptr<addrinfo, void (*)(addrinfo *)> guard(found, ::freeaddrinfo);
    const int error = bind_errno(*found);
    if (error != EADDRINUSE)
        fail("{}: {} (choose another address with {})", address.text(),
             error == 0 ? "could not be opened" : std::strerror(error), option);
    const auto owner = port_owner(address.port);
    const Address next{address.host, next_free_port(address.port)};
    fail("{} is taken by {}; {} {}", address.text(),
         owner ? fmt::format("{} (process {})", owner->program, owner->pid) : "another program",
         next.port == 0 ? "choose another address with" : next.text() + " is free:",
         next.port == 0 ? option : fmt::format("{} {}", option, next.text()));
}

}  // namespace shimmy::serve

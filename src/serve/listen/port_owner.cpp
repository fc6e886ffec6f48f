#include "serve/listen/port_owner.h"

#include "base/files.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <set>
#include <sstream>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace shimmy::serve {

namespace {

constexpr int N_PORTS_TRIED = 100;

// Inodes of the sockets that listen on the port, from a table of the kernel's (proc(5)): columns are the entry's
// number, the local address as HEX:PORT, the remote one, the state, …, and in the tenth the inode.
void add_listening_sockets(const char * table, int port, std::set<std::string> & inodes) {
    constexpr const char * LISTENING = "0A";
    const std::string suffix = fmt::format(":{:04X}", port);
    std::ifstream lines(table);
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string number, local, remote, state, word;
        words >> number >> local >> remote >> state;
        if (state != LISTENING || !local.ends_with(suffix)) continue;
        for (int i = 0; i < 6; ++i)
            words >> word;
        inodes.insert(word);
    }
}

bool holds_one_of(const fs::path & process, const std::set<std::string> & inodes) {
    std::error_code unreadable;
    for (const auto & entry : fs::directory_iterator(process / "fd", unreadable)) {
        const std::string target = fs::read_symlink(entry.path(), unreadable).string();
        if (target.starts_with("socket:[") && inodes.contains(target.substr(8, target.size() - 9))) return true;
    }
    return false;
}

// A port that something listens on cannot be bound.
bool is_free(int port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int yes = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port));
    const bool free = ::bind(fd, reinterpret_cast<const sockaddr *>(&address), sizeof(address)) == 0;
    ::close(fd);
    return free;
}

}  // namespace

std::optional<PortOwner> port_owner(int port) {
    std::set<std::string> inodes;
    for (const char * table : {"/proc/net/tcp", "/proc/net/tcp6"})
        add_listening_sockets(table, port, inodes);
    if (inodes.empty()) return std::nullopt;
    std::error_code unreadable;
    for (const auto & entry : fs::directory_iterator("/proc", unreadable)) {
        const std::string pid = entry.path().filename().string();
        if (!std::all_of(pid.begin(), pid.end(), [](unsigned char c) { return std::isdigit(c) != 0; })) continue;
        if (!holds_one_of(entry.path(), inodes)) continue;
        std::string program;
        std::ifstream name(entry.path() / "comm");
        std::getline(name, program);
        return PortOwner{std::stoi(pid), program};
    }
    return std::nullopt;
}

int next_free_port(int port) {
    for (int next = port + 1; next <= std::min(MAX_PORT, port + N_PORTS_TRIED); ++next) {
        if (is_free(next)) return next;
    }
    return 0;
}

}  // namespace shimmy::serve

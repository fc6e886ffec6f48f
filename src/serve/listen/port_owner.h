// Who listens on a port of this machine.
#pragma once

#include <optional>
#include <string>

namespace shimmy::serve {

inline constexpr int MAX_PORT = 65535;

struct PortOwner {
    int pid = 0;
    std::string program;
};

// nullopt where nobody does, or it is somebody whose processes this user may not look into.
std::optional<PortOwner> port_owner(int port);

// The first free port of loopback after `port`, looking at the next hundred; 0 if there is none.
int next_free_port(int port);

}  // namespace shimmy::serve

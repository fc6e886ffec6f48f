#include "engine/device/rpc.h"

#include "base/error.h"
#include "base/text/text.h"
#include "engine/device/modules.h"
#include "engine/llama/log.h"

#include "ggml-backend.h"

#include <memory>

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

namespace shimmy::engine {

namespace {

constexpr int CONNECT_TIMEOUT_S = 5;

bool can_connect(const std::string & host, const std::string & port) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo * found = nullptr;
    if (::getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) return false;
    const std::unique_ptr<addrinfo, void (*)(addrinfo *)> guard(found, ::freeaddrinfo);
    const int fd = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval timeout{CONNECT_TIMEOUT_S, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));  // limits connect() as well
    const bool connected = ::connect(fd, found->ai_addr, found->ai_addrlen) == 0;
    ::close(fd);
    return connected;
}

using AddServer = ggml_backend_reg_t (*)(const char * address);

// ggml's, whether its RPC code is part of the program or a module.
AddServer add_server_function() {
    if (ggml_backend_reg_by_name("RPC") == nullptr) load_module(module_file("rpc"));
    ggml_backend_reg_t rpc = ggml_backend_reg_by_name("RPC");
    if (rpc == nullptr) fail("--rpc: {}: {}", module_file("rpc").string(), failed_modules().back().reason);
    return reinterpret_cast<AddServer>(ggml_backend_reg_get_proc_address(rpc, "ggml_backend_rpc_add_server"));
}

// Null if nobody answers as a ggml-rpc-server does: llama.cpp's assertions about that are exceptions under a capture.
ggml_backend_reg_t rpc_server(const std::string & server) {
    const AddServer add_server = add_server_function();
    const LogCapture log;
    try {
        ggml_backend_reg_t reg = add_server(server.c_str());
        return reg != nullptr && ggml_backend_reg_dev_count(reg) > 0 ? reg : nullptr;
    } catch (const Error &) {
        return nullptr;
    }
}

void add_rpc_server(const std::string & server) {
    const size_t colon = server.rfind(':');
    if (colon == std::string::npos || colon == 0 || colon + 1 == server.size())
        fail_usage("--rpc: '{}' is no address: it needs a host and a port, as in 192.168.1.7:50052", server);
    // llama.cpp would end the program.
    if (!can_connect(server.substr(0, colon), server.substr(colon + 1)))
        fail("--rpc {}: cannot be reached: is llama.cpp's ggml-rpc-server running there?", server);
    ggml_backend_reg_t reg = rpc_server(server);
    if (reg == nullptr) fail("--rpc {}: no ggml-rpc-server of llama.cpp v0.5.0 answers there", server);
    ggml_backend_register(reg);
}

}  // namespace

void add_rpc_servers(const std::string & servers) {
    if (servers.empty()) return;
    for (const std::string & server : split(servers, ','))
        add_rpc_server(server);
}

}  // namespace shimmy::engine

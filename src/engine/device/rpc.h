// Other machines as devices: llama.cpp's RPC backend, to programs of llama.cpp's `ggml-rpc-server` there.
#pragma once

#include <string>

namespace shimmy::engine {

// "host:port,host:port": their devices are GPUs from now on, to devices() and to loading. What is sent is neither
// encrypted nor authenticated: for a network of one's own. Throws Error that names the server that cannot be reached.
void add_rpc_servers(const std::string & servers);

}  // namespace shimmy::engine

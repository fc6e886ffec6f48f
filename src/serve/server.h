// One model behind an HTTP server with OpenAI's API: llama.cpp's server library (batching of requests, chat templates,
// streaming), loaded with this program's options and checks.
#pragma once

#include "engine/memory.h"
#include "engine/model.h"

#include <functional>
#include <string>

namespace shimmy::serve {

inline constexpr int DEFAULT_PORT = 11435;

struct Address {
    std::string host = "127.0.0.1";
    int port = DEFAULT_PORT;  // 0: any free one

    bool is_loopback() const;
    std::string text() const;  // "127.0.0.1:11435", "[::1]:11435"
};

// "127.0.0.1:8080", "[::1]:8080", "localhost:8080", ":8080" (loopback). Throws UsageError.
Address parse_address(const std::string & text);

struct ServerOptions {
    engine::LoadOptions load;  // n_ctx is that of one request; n_parallel requests are computed at once
    Address address;
    std::string model_name;  // as clients call it
    std::string api_key;     // empty: none is asked for
    int verbosity = 0;       // of the server's own log, as in engine/log.h
};

// What is known once the model is loaded and requests are taken.
struct Started {
    Address address;  // with the port that was chosen
    engine::Device device;
    int n_threads = 0;
    uint32_t n_ctx = 0;  // of one request
    double load_ms = 0.0;
    bool has_chat_template = false;
    engine::MemoryUse memory;
    uint64_t expert_ram_bytes = 0;
};

// Serves until SIGINT or SIGTERM, then cancels what runs and returns. While the model loads, requests get 503.
//   GET  /health, /v1/models        POST /v1/chat/completions, /v1/completions, /tokenize
// Throws UsageError for an address beyond loopback without a key, Error where the port is taken or the model cannot be
// loaded.
void serve(const ServerOptions & options, const std::function<void(const Started & started)> & on_started);

}  // namespace shimmy::serve

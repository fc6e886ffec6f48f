// Models behind an HTTP server: llama.cpp's server library does the inference (batching of requests, chat templates,
// streaming), loaded with this program's options and checks; the APIs around it are OpenAI's, Anthropic's, Ollama's and
// shimmy's own. docs/API.md has every path.
#pragma once

#include "base/files.h"
#include "engine/load/device.h"
#include "engine/load/load_options.h"
#include "engine/load/memory.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace shimmy::serve {

inline constexpr int DEFAULT_PORT = 11435;
inline constexpr int OLLAMA_PORT = 11434;

struct Address {
    std::string host = "127.0.0.1";
    int port = DEFAULT_PORT;  // 0: any free one

    bool is_loopback() const;
    std::string text() const;  // "127.0.0.1:11435", "[::1]:11435"
};

// "127.0.0.1:8080", "[::1]:8080", "localhost:8080", ":8080" (loopback). Throws UsageError.
Address parse_address(const std::string & text);

// The first free port from DEFAULT_PORT on, or else any.
Address free_address();

// A model that requests may name.
struct ServedModel {
    std::string name;
    fs::path path;       // of a split model, its first part
    std::string source;  // where it was found: "huggingface"; "argument" if it was named
    std::string arch;
    std::string quantization;
    uint64_t size_bytes = 0;
    uint64_t n_params = 0;
    bool has_experts = false;
};

// What is known of a model that is loaded.
struct Loaded {
    engine::Device device;
    int n_threads = 0;
    uint32_t n_parallel = 1;  // requests at once
    uint32_t n_ctx = 0;       // of one request
    double load_ms = 0.0;
    bool has_chat_template = false;
    engine::MemoryUse memory;
    uint64_t expert_ram_bytes = 0;
    uint64_t host_bytes_per_token = 0;  // of weights in RAM that decoding one token reads
};

// How every model is loaded.
struct ModelOptions {
    engine::LoadOptions load;   // without a path; n_ctx is that of one request
    bool embeddings = false;    // for /v1/embeddings
    std::string pooling;        // of a text's embeddings: "mean", "cls", "last", "none"; empty: as the model says
    std::string chat_template;  // Jinja; empty: the model's own
    int verbosity = 0;          // of llama.cpp's log, as in engine/load/log.h
};

struct ServerOptions {
    ModelOptions model;
    std::vector<ServedModel> models;
    // Looks for models again (POST /api/models/discover); none: there is only `models`.
    std::function<std::vector<ServedModel>()> discover;
    bool load_at_start = true;  // every model; otherwise each when it is first asked for
    int max_loaded = 0;         // models at once; 0: as many as fit
    Address address;
    std::optional<Address> ollama_address;  // of Ollama's API, which has paths of the same name
    std::string api_key;                    // empty: none is asked for
    bool insecure = false;                  // take requests from other machines without a key
};

// What is known once requests are taken.
struct Started {
    Address address;  // with the port that was chosen
    std::optional<Address> ollama_address;
    std::optional<Loaded> loaded;  // the first model, if it was loaded at start
};

// Serves until SIGINT or SIGTERM, then cancels what runs and returns. Requests are taken when the models that are to be
// loaded at start are. Throws UsageError for an address beyond loopback without a key, Error where a port is taken or a
// model cannot be loaded.
void serve(const ServerOptions & options, const std::function<void(const Started & started)> & on_started);

}  // namespace shimmy::serve

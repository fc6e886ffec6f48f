// Models behind an HTTP server. Each model computes in a process of its own (serve/worker/), where llama.cpp's server
// library does the inference: batching of requests, chat templates, streaming. The server itself takes requests, keeps
// the processes (serve/pool/) and speaks the APIs (serve/api/): OpenAI's, Anthropic's, Ollama's and shimmy's own.
// docs/API.md has every path.
#pragma once

#include "serve/listen/address.h"
#include "serve/wire/model.h"

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace shimmy::serve {

struct ServerOptions {
    std::vector<ServedModel> models;
    ModelOptions model;  // those that most models have: devices are looked for as they say
    // Looks for models again (POST /api/models/discover); none: there is only `models`.
    std::function<std::vector<ServedModel>()> discover;
    int max_loaded = 0;  // models at once; 0: as many as fit
    Address address;
    std::optional<Address> ollama_address;     // of Ollama's API, which has paths of the same name
    std::string api_key;                       // empty: none is asked for
    bool insecure = false;                     // take requests from other machines without a key
    std::vector<std::string> allowed_origins;  // of pages and apps on other machines, as in http/access.h
    std::chrono::seconds drain_limit{15};      // for requests that are being answered when the server is to end
};

// What is known once requests are taken.
struct Started {
    Address address;  // with the port that was chosen
    std::optional<Address> ollama_address;
    // Of the first model that was loaded at start, if any was.
    std::optional<ServedModel> model;
    std::optional<Loaded> loaded;
};

// Serves until SIGINT or SIGTERM; what is being answered then may be finished within the drain limit. Requests are
// taken when the models that are to be loaded at start are. Throws UsageError for an address beyond loopback without a
// key, Error where a port is taken or a model cannot be loaded.
void serve(const ServerOptions & options, const std::function<void(const Started & started)> & on_started);

}  // namespace shimmy::serve

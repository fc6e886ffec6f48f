#include "serve/server.h"

#include "base/error.h"
#include "base/process/interrupt.h"
#include "serve/http_front.h"
#include "serve/model_pool.h"
#include "serve/moe_api.h"
#include "serve/ollama_api.h"
#include "serve/openai_api.h"
#include "serve/page.h"
#include "serve/shimmy_api.h"

#include "server-stream.h"

#include <atomic>
#include <chrono>
#include <thread>

namespace shimmy::serve {

namespace {

constexpr std::chrono::milliseconds STOP_POLL{50};  // how soon SIGTERM is noticed

// llama.cpp keeps the streams of all models in one place, with a thread that clears them away.
struct StreamSessions {
    StreamSessions() { server_stream_session_manager_start(); }
    ~StreamSessions() { server_stream_session_manager_stop(); }
    StreamSessions(const StreamSessions &) = delete;
    StreamSessions & operator=(const StreamSessions &) = delete;
};

void require_safe(const Address & address, const ServerOptions & options) {
    if (address.is_loopback() || !options.api_key.empty() || options.insecure) return;
    fail_usage("{} can be reached from other machines: that needs --api-key or --api-key-file (or --insecure)",
               address.text());
}

// Returns what is known of the first.
std::optional<Loaded> load_all(ModelPool & pool, const std::vector<ServedModel> & models) {
    std::optional<Loaded> first;
    for (const ServedModel & model : models) {
        const Lease lease = pool.use(model.name);
        if (!first) first = lease->loaded();
    }
    return first;
}

}  // namespace

void serve(const ServerOptions & options, const std::function<void(const Started & started)> & on_started) {
    require_safe(options.address, options);
    if (options.ollama_address) require_safe(*options.ollama_address, options);
    const StreamSessions sessions;
    ModelPool pool(options.models, options.model, options.max_loaded);
    // Connections are taken at once: a port that is taken is known before minutes of loading, requests wait for their
    // model, and /health says what is going on.
    std::atomic<bool> ready = false;
    Started started;
    HttpFront front(options.address, options.api_key);
    add_moe_api(front, pool, ready);
    add_openai_api(front, pool);
    add_shimmy_api(front, pool, options.discover);
    add_page(front);
    started.address = front.start("--bind");
    std::optional<HttpFront> ollama;
    if (options.ollama_address) {
        ollama.emplace(*options.ollama_address, options.api_key);
        add_ollama_api(*ollama, pool);
        started.ollama_address = ollama->start("--ollama-bind");
    }
    if (options.load_at_start) started.loaded = load_all(pool, options.models);
    ready = true;
    on_started(started);
    while (!interrupted())
        std::this_thread::sleep_for(STOP_POLL);
}

}  // namespace shimmy::serve

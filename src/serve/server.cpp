#include "serve/server.h"

#include "base/error.h"
#include "base/process/interrupt.h"
#include "serve/api/ollama_api.h"
#include "serve/api/openai_api.h"
#include "serve/api/page.h"
#include "serve/api/shimmy_api.h"
#include "serve/http/front.h"
#include "serve/http/log.h"
#include "serve/metrics/moe_api.h"
#include "serve/pool/model_pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <thread>

namespace shimmy::serve {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds STOP_POLL{20};  // how soon SIGTERM is noticed
// For the bodies of all requests that wait: eight of the largest that are taken.
constexpr size_t MAX_WAITING_BYTES = size_t{256} << 20;
// For answers that are cut off to tell so.
constexpr milliseconds FRONTS_END_LIMIT{1000};

void require_safe(const Address & address, const ServerOptions & options) {
    if (address.is_loopback() || !options.api_key.empty() || options.insecure) return;
    fail_usage("{} can be reached from other machines: that needs --api-key or --api-key-file (or --insecure)",
               address.text());
}

// Both addresses with what they share.
class Fronts {
public:
    explicit Fronts(const ServerOptions & options)
        : budget_(MAX_WAITING_BYTES),
          main_(options.address, Access(options.api_key, options.allowed_origins), budget_) {
        if (options.ollama_address)
            ollama_.emplace(*options.ollama_address, Access(options.api_key, options.allowed_origins), budget_);
    }

    HttpFront & main() { return main_; }
    std::optional<HttpFront> & ollama() { return ollama_; }

    template <typename Function>
    void each(const Function & function) {
        function(main_);
        if (ollama_) function(*ollama_);
    }
    int n_running() {
        int n = 0;
        each([&](const HttpFront & front) { n += front.n_running(); });
        return n;
    }

private:
    Budget budget_;
    HttpFront main_;
    std::optional<HttpFront> ollama_;
};

// Returns what is known of the first. Throws Interrupted when the server is to end.
void load_those_wanted(ModelPool & pool, const std::vector<ServedModel> & models, Started & started) {
    for (const ServedModel & model : models) {
        if (!model.loads_at_start) continue;
        try {
            const Lease lease = pool.use(model.name, [] { return Stop::no; });
            if (!started.model) {
                started.model = model;
                started.loaded = lease->loaded();
            }
        } catch (const HttpError &) {
            check_interrupted();
            throw;
        }
        check_interrupted();
    }
}

void wait_until_idle(Fronts & fronts, milliseconds limit) {
    const Clock::time_point end = Clock::now() + limit;
    while (fronts.n_running() > 0 && Clock::now() < end)
        std::this_thread::sleep_for(STOP_POLL);
}

// New requests are refused, running ones get their time, then an error; then nothing is waited for.
void end(Fronts & fronts, ModelPool & pool, milliseconds drain_limit) {
    fronts.each([](HttpFront & front) { front.drain(); });
    if (fronts.n_running() > 0)
        log("ending: {} request(s) have {} s to finish", fronts.n_running(), drain_limit.count() / 1000);
    wait_until_idle(fronts, drain_limit);
    fronts.each([](HttpFront & front) { front.cancel(); });
    pool.stop();
    wait_until_idle(fronts, FRONTS_END_LIMIT);
}

// What loads at start is given up when the server is to end.
class LoadStopper {
public:
    explicit LoadStopper(ModelPool & pool)
        : thread_([this, &pool] {
              while (!done_ && !interrupted())
                  std::this_thread::sleep_for(STOP_POLL);
              if (!done_) pool.stop();
          }) {}
    ~LoadStopper() {
        done_ = true;
        thread_.join();
    }
    LoadStopper(const LoadStopper &) = delete;
    LoadStopper & operator=(const LoadStopper &) = delete;

private:
    std::atomic<bool> done_ = false;
    std::thread thread_;
};

}  // namespace

void serve(const ServerOptions & options, const std::function<void(const Started & started)> & on_started) {
    require_safe(options.address, options);
    if (options.ollama_address) require_safe(*options.ollama_address, options);
    ModelPool pool(options.models, options.max_loaded);
    // Connections are taken at once: a port that is taken is known before minutes of loading, requests wait for their
    // model, and /health says what is going on.
    std::atomic<bool> ready = false;
    Started started;
    Fronts fronts(options);
    add_moe_api(fronts.main(), pool, options.model, ready);
    add_openai_api(fronts.main(), pool);
    add_shimmy_api(fronts.main(), pool, options.discover);
    add_page(fronts.main());
    started.address = fronts.main().start("--bind");
    if (fronts.ollama()) {
        add_ollama_api(*fronts.ollama(), pool);
        started.ollama_address = fronts.ollama()->start("--ollama-bind");
    }
    try {
        {
            const LoadStopper stopper(pool);
            load_those_wanted(pool, options.models, started);
        }
        // A device that is not there is an error now, not later.
        if (!started.model) (void)ModelProcess::devices(options.model);
        ready = true;
        on_started(started);
    } catch (...) {
        pool.stop();
        fronts.each([](HttpFront & front) { front.cancel(); });
        throw;
    }
    while (!interrupted())
        std::this_thread::sleep_for(STOP_POLL);
    end(fronts, pool, options.drain_limit);
}

}  // namespace shimmy::serve

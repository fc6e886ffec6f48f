// The models that requests can name, and those of them that are loaded. A model is loaded when it is first asked for;
// where memory is short, the least recently used goes, and where all are in use, it gets no new requests until it has
// gone: a model that is asked for without a pause keeps no other one out. Pinned ones stay. One whose process died is
// loaded again when it is next asked for.
#pragma once

#include "serve/http/request.h"
#include "serve/pool/back_off.h"
#include "serve/pool/model_process.h"
#include "serve/wire/model.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace shimmy::serve {

enum class ModelState { unloaded, loading, ready };
const char * to_string(ModelState state);

struct ModelStatus {
    ServedModel model;
    ModelState state = ModelState::unloaded;
    std::string error;             // of the last try to load it; empty if there was none
    int n_requests = 0;            // that use it now
    uint64_t n_loads = 0;          // since the server started
    std::optional<Loaded> loaded;  // if ready
    double idle_s = 0.0;           // since it was last used; 0 while it is
    // Until it is unloaded, if nobody uses it; nullopt: never.
    std::optional<std::chrono::milliseconds> left;
};

// While it exists, its model stays loaded, unless its process ends by itself.
class Lease {
public:
    using Clock = std::chrono::steady_clock;

    Lease(std::shared_ptr<ModelProcess> model, std::string name, Clock::time_point asked, bool logs_requests,
          std::function<void()> release);
    ~Lease();
    Lease(Lease && other) noexcept;
    Lease(const Lease &) = delete;
    Lease & operator=(const Lease &) = delete;
    Lease & operator=(Lease &&) = delete;

    const ModelProcess * operator->() const { return model_.get(); }
    const std::string & name() const { return name_; }
    // When the model was asked for, which may have been before it was loaded.
    Clock::time_point asked() const { return asked_; }
    bool logs_requests() const { return logs_requests_; }

private:
    std::shared_ptr<ModelProcess> model_;
    std::string name_;
    Clock::time_point asked_;
    bool logs_requests_;
    std::function<void()> release_;
};

class ModelPool {
public:
    ModelPool(std::vector<ServedModel> models, int max_loaded);
    ~ModelPool();
    ModelPool(const ModelPool &) = delete;
    ModelPool & operator=(const ModelPool &) = delete;

    // What is being loaded is given up; what waits for it gets an error.
    void stop() { stopping_ = true; }

    // The model of this name or alias, in any spelling that normalizes to it; empty: the only one there is, or the one
    // that was used last. Loads it where needed, which may take minutes. Throws HttpError 404 that lists near names,
    // 400 where an empty name is ambiguous, 503 where it cannot be loaded; ClientGone and 503 as `should_stop` says.
    Lease use(const std::string & name, const StopCheck & should_stop);

    // Those that are loaded, which this does not count as a use.
    std::vector<Lease> loaded();

    std::vector<ModelStatus> list() const;
    ModelStatus status(const std::string & name) const;

    // Waits until its requests are done, at most `patience`. False if it was not loaded. Throws HttpError 409 where it
    // is still in use.
    bool unload(const std::string & name, std::chrono::milliseconds patience);

    // From now on it is unloaded once nobody has used it for so long; nullopt: it stays.
    void set_keep_alive(const std::string & name, std::optional<std::chrono::milliseconds> keep_alive);

    // Takes over a new list, keeping what is loaded. Returns how many names are new.
    size_t replace(std::vector<ServedModel> models);

private:
    struct Entry {
        ServedModel model;
        ModelState state = ModelState::unloaded;
        std::string error;
        std::shared_ptr<ModelProcess> process;
        BackOff back_off;
        int n_leases = 0;
        bool makes_room = false;  // for another model, as soon as those that use it are done; new requests wait
        uint64_t n_loads = 0;
        std::chrono::steady_clock::time_point last_used;
        std::optional<std::chrono::milliseconds> keep_alive;
    };

    Entry & find(const std::string & name);
    const Entry & find(const std::string & name) const;
    const Entry * named(const std::string & name) const;
    Lease lease(Entry & entry, Lease::Clock::time_point asked, bool is_use = true);  // with the lock held
    void notice_deaths() const;                                                      // with the lock held
    void require_hope(const Entry & entry) const;
    static void log_placement(const Entry & entry);
    void load(std::unique_lock<std::mutex> & lock, Entry & entry);
    std::shared_ptr<ModelProcess> load_making_room(std::unique_lock<std::mutex> & lock, const Entry & entry);
    Entry * least_recently_used(bool idle) const;
    bool unload_least_recently_used(std::unique_lock<std::mutex> & lock);
    size_t n_loaded() const;
    ModelStatus status_of(const Entry & entry) const;
    std::optional<std::chrono::milliseconds> left(const Entry & entry) const;
    void unload_expired();

    size_t max_loaded_;  // 0: as many as fit
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::mutex loading_;                           // one load at a time, so that each sees the memory that is left
    std::vector<std::unique_ptr<Entry>> entries_;  // never removed: leases refer to them
    std::atomic<bool> stopping_ = false;
    bool ends_ = false;     // with the lock held
    std::thread unloader_;  // of models that nobody has used for as long as they are kept
};

}  // namespace shimmy::serve

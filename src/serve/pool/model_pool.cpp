#include "serve/pool/model_pool.h"

#include "base/error.h"
#include "base/host/host.h"
#include "base/text/units.h"
#include "engine/load/placement.h"
#include "engine/predict/fit.h"
#include "library/names.h"
#include "library/resolve.h"
#include "serve/http/log.h"

#include <algorithm>
#include <string_view>

namespace shimmy::serve {

namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t MAX_SUGGESTIONS = 3;
constexpr size_t MAX_NAME_BYTES = 1024;  // near names are looked for letter by letter
constexpr std::chrono::milliseconds LOOK_INTERVAL{50};
constexpr double MAX_RAM_SHARE = 0.9;  // of the machine's, for the mapped files of all loaded models together

}  // namespace

const char * to_string(ModelState state) {
    switch (state) {
        case ModelState::unloaded:
            return "unloaded";
        case ModelState::loading:
            return "loading";
        case ModelState::ready:
            return "ready";
    }
    return "unloaded";
}

Lease::Lease(std::shared_ptr<ModelProcess> model, std::string name, Clock::time_point asked, bool logs_requests,
             std::function<void()> release)
    : model_(std::move(model)),
      name_(std::move(name)),
      asked_(asked),
      logs_requests_(logs_requests),
      release_(std::move(release)) {}

Lease::Lease(Lease && other) noexcept
    : model_(std::move(other.model_)),
      name_(std::move(other.name_)),
      asked_(other.asked_),
      logs_requests_(other.logs_requests_),
      release_(std::exchange(other.release_, nullptr)) {}

Lease::~Lease() {
    model_.reset();
    if (release_) release_();
}

ModelPool::ModelPool(std::vector<ServedModel> models, int max_loaded) : max_loaded_(static_cast<size_t>(max_loaded)) {
    replace(std::move(models));
    unloader_ = std::thread([this] { unload_expired(); });
}

ModelPool::~ModelPool() {
    {
        const std::lock_guard lock(mutex_);
        ends_ = true;
        changed_.notify_all();
    }
    unloader_.join();
}

size_t ModelPool::replace(std::vector<ServedModel> models) {
    const std::lock_guard lock(mutex_);
    size_t n_new = 0;
    for (ServedModel & model : models) {
        const auto same = [&](const auto & entry) { return entry->model.name == model.name; };
        const auto known = std::find_if(entries_.begin(), entries_.end(), same);
        if (known != entries_.end()) {
            if ((*known)->state == ModelState::unloaded) (*known)->model = std::move(model);
            continue;
        }
        entries_.push_back(std::make_unique<Entry>());
        entries_.back()->keep_alive = model.options.keep_alive;
        entries_.back()->model = std::move(model);
        ++n_new;
    }
    return n_new;
}

// Null if there is none.
const ModelPool::Entry * ModelPool::named(const std::string & name) const {
    for (const auto & entry : entries_) {
        const std::vector<std::string> & aliases = entry->model.aliases;
        if (entry->model.name == name || std::find(aliases.begin(), aliases.end(), name) != aliases.end())
            return entry.get();
    }
    return nullptr;
}

const ModelPool::Entry & ModelPool::find(const std::string & name) const {
    if (entries_.empty()) throw HttpError(404, "there is no model (shimmy discover says where they are looked for)");
    if (name.empty()) {
        if (entries_.size() == 1) return *entries_.front();
        const Entry * last = nullptr;
        for (const auto & entry : entries_) {
            if (entry->state == ModelState::ready && (last == nullptr || entry->last_used > last->last_used))
                last = entry.get();
        }
        if (last == nullptr) throw HttpError(400, "which \"model\"? GET /v1/models lists them");
        return *last;
    }
    if (name.size() > MAX_NAME_BYTES) throw HttpError(404, "there is no model of so long a name");
    const std::string wanted = library::normalized_name(name);
    std::vector<std::string> names;
    // "latest" is what Ollama's clients add to a name without a tag.
    constexpr std::string_view LATEST = ":latest";
    const std::string bare = wanted.ends_with(LATEST) ? wanted.substr(0, wanted.size() - LATEST.size()) : wanted;
    for (const std::string & spelling : {wanted, wanted + ":latest", bare}) {
        if (const Entry * entry = named(spelling); entry != nullptr) return *entry;
    }
    for (const auto & entry : entries_)
        names.push_back(entry->model.name);
    const std::vector<std::string> nearest = library::nearest_names(wanted, names, MAX_SUGGESTIONS);
    throw HttpError(404, nearest.empty() ? fmt::format("there is no model '{}' (GET /v1/models lists them)", name)
                                         : fmt::format("there is no model '{}'; did you mean {}?", name,
                                                       fmt::join(nearest, " or ")));
}

ModelPool::Entry & ModelPool::find(const std::string & name) {
    return const_cast<Entry &>(std::as_const(*this).find(name));
}

Lease ModelPool::lease(Entry & entry, Clock::time_point asked, bool is_use) {
    ++entry.n_leases;
    return Lease(entry.process, entry.model.name, asked, entry.model.options.verbosity > 0, [this, &entry, is_use] {
        const std::lock_guard lock(mutex_);
        --entry.n_leases;
        if (is_use) entry.last_used = Clock::now();
        changed_.notify_all();
    });
}

void ModelPool::notice_deaths() const {
    for (const auto & entry : entries_) {
        if (entry->state != ModelState::ready || !entry->process->has_ended()) continue;
        entry->state = ModelState::unloaded;
        entry->error = fmt::format("its process {}", entry->process->how_it_ended());
        entry->back_off.note_death(Clock::now(), entry->process->age());
        entry->process.reset();
    }
}

// Throws HttpError 503 while a model whose process keeps dying is not to be tried again.
void ModelPool::require_hope(const Entry & entry) const {
    const auto wait = entry.back_off.wait(Clock::now());
    if (wait.count() == 0) return;
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(wait);
    HttpError error(503, fmt::format("{} failed {} times in a row ({}); it is loaded again in {} s", entry.model.name,
                                     entry.back_off.n_deaths(), entry.error, seconds.count()));
    error.retry_after = seconds;
    throw error;
}

std::vector<Lease> ModelPool::loaded() {
    const std::lock_guard lock(mutex_);
    notice_deaths();
    std::vector<Lease> leases;
    for (const auto & entry : entries_) {
        if (entry->state == ModelState::ready) leases.push_back(lease(*entry, Clock::now(), /*is_use=*/false));
    }
    return leases;
}

Lease ModelPool::use(const std::string & name, const StopCheck & should_stop) {
    const Clock::time_point asked = Clock::now();
    std::unique_lock lock(mutex_);
    notice_deaths();
    Entry & entry = find(name);
    const auto is_free = [&] { return entry.state != ModelState::loading && !entry.makes_room; };
    while (!changed_.wait_for(lock, LOOK_INTERVAL, is_free)) {
        if (should_stop() == Stop::client_gone) throw ClientGone();
        if (stopping_ || should_stop() == Stop::shutting_down) throw HttpError(503, "the server is shutting down");
    }
    notice_deaths();
    if (entry.state == ModelState::unloaded) {
        require_hope(entry);
        load(lock, entry);
    }
    entry.last_used = Clock::now();
    return lease(entry, asked);
}

void ModelPool::log_placement(const Entry & entry) {
    const std::string text = engine::to_text(entry.process->loaded().placement);
    if (!text.empty()) log("{}: {}", entry.model.name, text);
    const std::string & speculation = entry.process->loaded().speculation.text;
    if (!speculation.empty()) log("{}: {}", entry.model.name, speculation);
}

// With the lock held on entry and exit; others may look at the pool meanwhile.
void ModelPool::load(std::unique_lock<std::mutex> & lock, Entry & entry) {
    entry.state = ModelState::loading;
    lock.unlock();
    std::string error;
    std::shared_ptr<ModelProcess> process;
    std::exception_ptr usage_error;
    try {
        const std::lock_guard one_at_a_time(loading_);
        lock.lock();
        process = load_making_room(lock, entry);
    } catch (const std::exception & failure) {
        if (!lock.owns_lock()) lock.lock();
        error = failure.what();
        if (dynamic_cast<const ProcessEnded *>(&failure) != nullptr) entry.back_off.note_death(Clock::now(), {});
        if (dynamic_cast<const UsageError *>(&failure) != nullptr) usage_error = std::current_exception();
    }
    entry.error = error;
    entry.process = std::move(process);
    entry.state = error.empty() ? ModelState::ready : ModelState::unloaded;
    entry.n_loads += error.empty() ? 1 : 0;
    changed_.notify_all();
    if (error.empty()) return log_placement(entry);
    if (stopping_) throw HttpError(503, "the server is shutting down");
    if (usage_error) std::rethrow_exception(usage_error);
    throw HttpError(503, error);
}

std::shared_ptr<ModelProcess> ModelPool::load_making_room(std::unique_lock<std::mutex> & lock, const Entry & entry) {
    while (max_loaded_ > 0 && n_loaded() >= max_loaded_) {
        // Where none may go, one that was waited for may have gone by itself.
        if (!unload_least_recently_used(lock) && n_loaded() >= max_loaded_)
            fail("{} cannot be loaded: --max-loaded is {}, and what is loaded is pinned", entry.model.name,
                 max_loaded_);
    }
    // Mapped files need no RAM of their own, but decoding from a disk is not what anyone wants.
    const auto mapped_bytes = [&] {
        uint64_t sum = entry.model.size_bytes;
        for (const auto & other : entries_)
            sum += other->state == ModelState::ready ? other->process->loaded().memory.host().model_bytes : 0;
        return sum;
    };
    const auto ram_bytes = static_cast<uint64_t>(static_cast<double>(host().ram_bytes) * MAX_RAM_SHARE);
    while (mapped_bytes() > ram_bytes && n_loaded() > 0) {
        if (!unload_least_recently_used(lock)) break;
    }
    ModelOptions options = entry.model.options;
    options.load.path = entry.model.path.string();
    // An offloading placement is asked of models that have experts; the others have none to keep on the CPU.
    if (!entry.model.has_experts && !options.load.placement.is_automatic)
        options.load.placement = engine::Placement::baseline();
    while (true) {
        lock.unlock();
        try {
            auto process =
                std::make_shared<ModelProcess>(entry.model.name, options, [this] { return stopping_.load(); });
            lock.lock();
            return process;
        } catch (const engine::DoesNotFit &) {
            lock.lock();
            if (!unload_least_recently_used(lock)) throw;
        }
    }
}

// Of those that may go, with `idle` of those that nobody uses. Null if there is none.
ModelPool::Entry * ModelPool::least_recently_used(bool idle) const {
    Entry * oldest = nullptr;
    for (const auto & entry : entries_) {
        if (entry->state != ModelState::ready || entry->model.is_pinned || (idle && entry->n_leases > 0)) continue;
        if (oldest == nullptr || entry->last_used < oldest->last_used) oldest = entry.get();
    }
    return oldest;
}

// Waits for one to become idle where all are in use. False if none is loaded that may go.
bool ModelPool::unload_least_recently_used(std::unique_lock<std::mutex> & lock) {
    Entry * waits_for = nullptr;
    while (least_recently_used(/*idle=*/false) != nullptr) {
        Entry * oldest = least_recently_used(/*idle=*/true);
        if (oldest == nullptr) {
            if (waits_for == nullptr) waits_for = least_recently_used(/*idle=*/false);
            waits_for->makes_room = true;
            changed_.wait_for(lock, std::chrono::milliseconds(100));
            if (stopping_) throw HttpError(503, "the server is shutting down");
            notice_deaths();
            continue;
        }
        log("{} was unloaded to make room", oldest->model.name);
        oldest->state = ModelState::unloaded;
        std::shared_ptr<ModelProcess> process = std::move(oldest->process);
        lock.unlock();
        process.reset();
        lock.lock();
        for (const auto & entry : entries_)
            entry->makes_room = false;
        changed_.notify_all();
        return true;
    }
    if (waits_for != nullptr) waits_for->makes_room = false;
    return false;
}

size_t ModelPool::n_loaded() const {
    return static_cast<size_t>(std::count_if(entries_.begin(), entries_.end(),
                                             [](const auto & entry) { return entry->state == ModelState::ready; }));
}

ModelStatus ModelPool::status_of(const Entry & entry) const {
    ModelStatus status{entry.model, entry.state, entry.error, entry.n_leases, entry.n_loads, std::nullopt, 0.0, {}};
    if (!entry.process) return status;
    status.loaded = entry.process->loaded();
    if (entry.n_leases == 0) status.idle_s = std::chrono::duration<double>(Clock::now() - entry.last_used).count();
    status.left = left(entry);
    return status;
}

// Of a model in use it is the whole time: it begins when nobody uses it any more.
std::optional<std::chrono::milliseconds> ModelPool::left(const Entry & entry) const {
    if (entry.state != ModelState::ready || !entry.keep_alive) return std::nullopt;
    if (entry.n_leases > 0) return entry.keep_alive;
    const auto idle = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - entry.last_used);
    return std::max(std::chrono::milliseconds(0), *entry.keep_alive - idle);
}

void ModelPool::set_keep_alive(const std::string & name, std::optional<std::chrono::milliseconds> keep_alive) {
    const std::lock_guard lock(mutex_);
    find(name).keep_alive = keep_alive;
    changed_.notify_all();
}

void ModelPool::unload_expired() {
    std::unique_lock lock(mutex_);
    while (!ends_) {
        std::shared_ptr<ModelProcess> expired;
        std::optional<std::chrono::milliseconds> next;
        for (const auto & entry : entries_) {
            const auto one = left(*entry);
            if (!one || entry->n_leases > 0) continue;
            if (one->count() > 0) {
                next = next ? std::min(*next, *one) : *one;
                continue;
            }
            log("{} was unloaded: nobody has used it for {} s", entry->model.name, entry->keep_alive->count() / 1000);
            entry->state = ModelState::unloaded;
            expired = std::move(entry->process);
            break;
        }
        if (expired) {
            lock.unlock();
            expired.reset();
            lock.lock();
            changed_.notify_all();
        } else if (next) {
            changed_.wait_for(lock, *next + std::chrono::milliseconds(1));
        } else {
            changed_.wait(lock);
        }
    }
}

std::vector<ModelStatus> ModelPool::list() const {
    const std::lock_guard lock(mutex_);
    notice_deaths();
    std::vector<ModelStatus> statuses;
    for (const auto & entry : entries_)
        statuses.push_back(status_of(*entry));
    return statuses;
}

ModelStatus ModelPool::status(const std::string & name) const {
    const std::lock_guard lock(mutex_);
    notice_deaths();
    return status_of(find(name));
}

bool ModelPool::unload(const std::string & name, std::chrono::milliseconds patience) {
    std::unique_lock lock(mutex_);
    notice_deaths();
    Entry & entry = find(name);
    const auto idle = [&] { return entry.state != ModelState::loading && entry.n_leases == 0; };
    if (!changed_.wait_for(lock, patience, idle))
        throw HttpError(409, fmt::format("{} is in use by {} request(s)", entry.model.name, entry.n_leases));
    if (entry.state == ModelState::unloaded) return false;
    entry.state = ModelState::unloaded;
    std::shared_ptr<ModelProcess> process = std::move(entry.process);
    lock.unlock();
    process.reset();
    return true;
}

}  // namespace shimmy::serve

#include "cache.h"

#include <algorithm>
#include <atomic>
#include <cinttypes>
#include <cstring>
#include <mutex>
#include <numeric>
#include <set>

#include "ggml/log.h"
#include "rates.h"

namespace moe {

namespace {

// Batches that are watched before memory is taken: by then every layer has been seen, and timed more than once.
constexpr int PASSES_TO_SEE = 2, PASSES_TO_TIME = 4;
constexpr int TRIALS = 4;
constexpr double HAND_OVER_S = 5e-6;           // copying the input rows and adding the results
constexpr double MARGIN = 0.05;                // of a GPU's memory, that auto leaves free
constexpr size_t LEAST_MARGIN = 512ull << 20;  // bytes
constexpr double MOST_PRICE = 8;               // uses
constexpr double MIB = 1024.0 * 1024;

// What all caches of the process did.
struct Totals {
    std::atomic<uint64_t> lookups{0}, hits{0}, uploads{0}, uploaded_bytes{0}, failures{0};
    std::atomic<uint64_t> slots{0}, resident{0}, experts{0};
    std::mutex mutex;             // of what follows
    std::set<std::string> texts;  // all that were ever said: few
    const char * text = "off: nothing has been computed yet";
    std::set<ExpertCache *> caches;
    std::map<ggml_backend_dev_t, size_t> bytes;  // of VRAM
};
Totals & totals() {
    static Totals & t = *new Totals;  // never destroyed: contexts may be freed while the process ends
    return t;
}

// A device of llama.cpp's RPC backend. It claims every operation, and the other side ends if its GPU lacks one.
bool is_remote(ggml_backend_dev_t gpu) {
    const ggml_backend_reg_t reg = ggml_backend_dev_backend_reg(gpu);
    return reg != nullptr && std::strcmp(ggml_backend_reg_name(reg), "RPC") == 0;
}

double seconds_since(std::chrono::steady_clock::time_point t) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - t).count();
}

// For programs that do not ask for the figures, as llama.cpp's.
void log_totals() {
    const Totals & t = totals();
    log_info("experts in VRAM: %" PRIu64 " of %" PRIu64 " look-ups were hits, %" PRIu64 " uploads (%.1f MiB)\n",
             t.hits.load(), t.lookups.load(), t.uploads.load(), double(t.uploaded_bytes) / MIB);
}

}  // namespace

ExpertCache::ExpertCache() : setting_(cache_setting()) {
    Totals & t = totals();
    std::lock_guard<std::mutex> lock(t.mutex);
    t.caches.insert(this);
    if (setting_.kind == CacheSetting::Off) {
        state_ = State::Off;
        t.text = "off";
    }
}

ExpertCache::~ExpertCache() {
    {
        std::lock_guard<std::mutex> lock(totals().mutex);
        totals().caches.erase(this);
    }
    if (state_ == State::Open) log_totals();
    close("");
}

// ---- watching ----

// A GPU without memory of its own reads the same RAM.
bool ExpertCache::may_cache_on(ggml_backend_dev_t gpu) const {
    return setting_.kind == CacheSetting::Size ||
           (ggml_backend_dev_type(gpu) == GGML_BACKEND_DEVICE_TYPE_GPU && !is_remote(gpu));
}

void ExpertCache::watch(const Call & call, const Routing & routing) {
    const uint64_t id = call.down->id;
    const auto found = layers_.find(id);
    if (found == layers_.end()) {
        Layer & l = layers_[id];
        l.shape = call.shape;
        l.weights = call.weights;
        l.gpu = call.down->gpu;
        l.n_expert = call.down->n_expert;
        l.counters = call.down->counters;
        if (first_layer_ == 0) {
            first_layer_ = id;
            say("watching the first batches");
        }
    }
    if (id == first_layer_ && ++passes_ > (setting_.kind == CacheSetting::Auto ? PASSES_TO_TIME : PASSES_TO_SEE))
        open();
    if (state_ != State::Watching || call.tokens != 1) return;
    used_ = routing.used;
    watched_experts_ = routing.groups;
    begun_ = std::chrono::steady_clock::now();
}

void ExpertCache::open() {
    std::vector<ggml_backend_dev_t> gpus;
    for (auto & entry : layers_) {
        Layer & l = entry.second;
        if (l.gpu == nullptr || !may_cache_on(l.gpu)) continue;
        if (std::find(gpus.begin(), gpus.end(), l.gpu) == gpus.end()) gpus.push_back(l.gpu);
        auto c = std::find_if(classes_.begin(), classes_.end(),
                              [&](const Class & k) { return k.gpu == l.gpu && k.shape == l.shape; });
        if (c == classes_.end()) {
            classes_.emplace_back();
            c = classes_.end() - 1;
            c->gpu = l.gpu;
            c->shape = l.shape;
        }
        l.class_index = static_cast<int>(c - classes_.begin());
        l.first = c->experts;
        c->experts += l.n_expert;
        c->layers.push_back(&l);
        c->layer_of.insert(c->layer_of.end(), size_t(l.n_expert), &l);
    }
    if (gpus.empty())
        return close("off: no GPU of this machine with memory of its own computes the layers around the experts");
    double total = 0;
    for (const Class & c : classes_) {
        total += double(c.experts) * double(c.shape.expert_bytes());
    }
    for (ggml_backend_dev_t gpu : gpus) {
        double of_this = 0;
        for (const Class & c : classes_) {
            if (c.gpu == gpu) of_this += double(c.experts) * double(c.shape.expert_bytes());
        }
        size_t bytes = static_cast<size_t>(double(setting_.bytes) * of_this / total);
        if (setting_.kind == CacheSetting::Auto) {
            size_t free = 0, all = 0;
            ggml_backend_dev_memory(gpu, &free, &all);
            const size_t margin = std::max(LEAST_MARGIN, static_cast<size_t>(MARGIN * double(all)));
            bytes = free > margin ? free - margin : 0;
            if (setting_.bytes > 0) bytes = std::min(bytes, setting_.bytes);
        }
        open_device(gpu, bytes);
        if (state_ == State::Off) return;
    }
    int slots = 0, experts = 0;
    size_t bytes = 0;
    for (Class & c : classes_) {
        if (c.policy == nullptr) continue;
        slots += c.policy->slots();
        experts += c.experts;
        for (const auto & b : c.banks) {
            bytes += b->bytes();
            count_bytes(c.gpu, b->bytes());
        }
    }
    if (slots == 0) return close("off: no room for an expert in VRAM");
    state_ = State::Open;
    totals().slots += uint64_t(slots);
    totals().experts += uint64_t(experts);
    say(std::to_string(slots) + " of " + std::to_string(experts) + " experts in VRAM");
    log_info("room for %d of %d experts in VRAM, %.1f MiB\n", slots, experts, double(bytes) / MIB);
}

void ExpertCache::open_device(ggml_backend_dev_t gpu, size_t bytes) {
    ggml_backend_dev_props props;
    ggml_backend_dev_get_props(gpu, &props);
    if (setting_.kind == CacheSetting::Auto && !props.caps.async)
        return close(std::string("off: ") + props.name + " computes nothing in the background");
    std::vector<ExpertClass> wanted;
    std::vector<Class *> here;
    for (Class & c : classes_) {
        if (c.gpu != gpu) continue;
        wanted.push_back({c.experts, c.shape.expert_bytes()});
        here.push_back(&c);
    }
    const std::vector<int> slots = share_slots(wanted, bytes);
    for (size_t i = 0; i < here.size(); ++i) {
        Class & c = *here[i];
        if (slots[i] == 0) continue;
        if (const char * reason = setting_.kind == CacheSetting::Auto ? why_not(c) : nullptr)
            return close(std::string("off: ") + props.name + reason);
        make_banks(c, slots[i]);
        if (c.banks.empty()) continue;
        int made = 0;
        for (const auto & b : c.banks) {
            made += b->slots();
        }
        c.policy = std::make_unique<CachePolicy>(c.experts, made, params_for(c));
    }
}

// As many banks as tensors of the largest buffer need; fewer slots where memory is shorter than it seemed.
void ExpertCache::make_banks(Class & c, int slots) {
    c.per_bank = std::max(1, std::min(slots, Bank::most_slots(c.gpu, c.shape)));
    bool refused = false;
    for (int left = slots; left > 0;) {
        const int n = std::min(left, c.per_bank);
        std::unique_ptr<Bank> bank = Bank::make(c.gpu, c.shape, n);
        if (bank != nullptr) {
            left -= n;
            c.banks.push_back(std::move(bank));
            if (n < c.per_bank) break;  // the last
            continue;
        }
        refused = true;
        left = n / 2;
        if (c.banks.empty()) c.per_bank = std::max(1, left);
    }
    if (refused) {
        log_warn("%s: %s\n", ggml_backend_dev_name(c.gpu),
                 c.banks.empty() ? "cannot hold or compute experts of this type and shape; they stay on the CPU"
                                 : "less memory than it said; fewer experts are kept there");
    }
}

namespace {

// The least time that the bank takes for this many experts of one token; 0 if the device refuses or fails.
double time_of(Bank & bank, int experts, int64_t n_embd) {
    std::vector<int32_t> ids(static_cast<size_t>(experts));
    std::iota(ids.begin(), ids.end(), 0);
    double least = 0;
    for (int i = 0; i < TRIALS; ++i) {
        std::memset(bank.input(experts, 1), 0, size_t(n_embd) * sizeof(float));
        const auto begun = std::chrono::steady_clock::now();
        if (!bank.start(ids.data(), experts, 1) || bank.finish() == nullptr) return 0;
        const double s = seconds_since(begun);
        if (i == 1 || (i > 1 && s < least)) least = s;  // the first also prepares the device
    }
    return least;
}

}  // namespace

// What speaks against the GPU, after its name; null if it computes a token's experts in less time than the CPU was seen
// to take. Tried in a bank of its own, before much memory is taken.
const char * ExpertCache::why_not(Class & c) const {
    if (cpu_s_per_expert_ <= 0) return nullptr;  // no single token was seen: nothing to compare with
    const std::unique_ptr<Bank> bank = Bank::make(c.gpu, c.shape, used_);
    if (bank == nullptr) return nullptr;  // make_banks says why
    c.first_s = time_of(*bank, 1, c.shape.n_embd);
    const double all_s = used_ > 1 ? time_of(*bank, used_, c.shape.n_embd) : c.first_s;
    if (c.first_s == 0 || all_s == 0) return " failed when it was tried";
    c.more_s = used_ > 1 ? std::max(0.0, all_s - c.first_s) / (used_ - 1) : 0;
    log_info("%d experts: %.0f us on %s, %.0f us on the CPU\n", used_, all_s * 1e6, ggml_backend_dev_name(c.gpu),
             cpu_s_per_expert_ * used_ * 1e6);
    return all_s < cpu_s_per_expert_ * used_ ? nullptr : " is slower at experts than the CPU";
}

// Starting the GPU and waiting for it takes longer than a few small experts on the CPU.
bool ExpertCache::is_worth(const Class & c, int hits, int misses) const {
    if (setting_.kind != CacheSetting::Auto || cpu_s_per_expert_ <= 0 || tokens_ > 1) return true;
    const double gpu_s = c.first_s + c.more_s * (hits - 1);
    return std::max(gpu_s, misses * cpu_s_per_expert_) + HAND_OVER_S < (hits + misses) * cpu_s_per_expert_;
}

int ExpertCache::resident_groups(const Class & c, const Layer & layer, const Routing & r) const {
    int n = 0;
    for (int32_t g = 0; g < r.groups; ++g) {
        n += c.policy->slot_of(layer.first + r.expert[g]) >= 0;
    }
    return n;
}

// An upload reads an expert from memory once, as the CPU does for one use, and no more of them can be under way than
// the link carries. Where the link is slower than the CPU reads, an expert must stay longer to be worth it.
PolicyParams ExpertCache::params_for(const Class & c) const {
    PolicyParams p;
    if (cpu_s_per_expert_ > 0) {
        const double upload_s = double(c.shape.expert_bytes()) / upload_bytes_per_s(c.gpu);
        p.price = std::clamp(upload_s / cpu_s_per_expert_ / 2, 1.0, MOST_PRICE);
    }
    return p;
}

void ExpertCache::close(const std::string & why) {
    uploader_.stop();
    if (state_ == State::Open) {
        for (Class & c : classes_) {
            if (c.policy == nullptr) continue;
            totals().slots -= uint64_t(c.policy->slots());
            totals().experts -= uint64_t(c.experts);
            for (int e = 0; e < c.experts; ++e) {
                if (c.policy->slot_of(e) >= 0) set_in_vram(c, e, -1);
            }
        }
    }
    for (const auto & [gpu, bytes] : bytes_) {
        std::lock_guard<std::mutex> lock(totals().mutex);
        totals().bytes[gpu] -= bytes;
    }
    bytes_.clear();
    state_ = State::Off;
    classes_.clear();
    layers_.clear();
    if (!why.empty()) say(why);
}

void ExpertCache::give_up(const std::string & why) {
    ++totals().failures;
    log_warn("%s: experts are no longer kept in VRAM; the CPU computes them all\n", why.c_str());
    close("off: " + why);
}

void ExpertCache::say(const std::string & text) {
    std::lock_guard<std::mutex> lock(totals().mutex);
    totals().text = totals().texts.insert(text).first->c_str();
}

// ---- a call ----

void ExpertCache::set_in_vram(const Class & c, int expert, int change) {
    const Layer & l = *c.layer_of[size_t(expert)];
    l.counters[size_t(expert - l.first)].in_vram += change;
    totals().resident += uint64_t(int64_t(change));
}

void ExpertCache::count_bytes(ggml_backend_dev_t gpu, size_t bytes) {
    bytes_[gpu] += bytes;
    std::lock_guard<std::mutex> lock(totals().mutex);
    totals().bytes[gpu] += bytes;
}

void ExpertCache::take_uploaded() {
    done_.clear();
    uploader_.take_done(done_);
    for (const Uploader::Order & o : done_) {
        if (o.failed) return give_up("an upload failed");
        Class & c = classes_[o.class_index];
        if (o.dropped) {
            c.policy->failed(o.upload);
            continue;
        }
        c.policy->uploaded(o.upload);
        set_in_vram(c, o.upload.expert, 1);
        ++totals().uploads;
        totals().uploaded_bytes += c.shape.expert_bytes();
    }
}

void ExpertCache::begin(const Call & call, Routing & routing) {
    hits_.clear();
    runs_.clear();
    missed_.clear();
    layer_ = nullptr;
    watched_experts_ = 0;
    tokens_ = call.tokens;
    if (state_ == State::Watching) watch(call, routing);
    if (state_ != State::Open) return;
    take_uploaded();
    if (state_ != State::Open) return;  // an upload failed
    const auto found = layers_.find(call.down->id);
    if (found == layers_.end() || found->second.class_index < 0) return;
    if (call.tokens == 1 && routing.used == found->second.n_expert) return;  // a warm-up, which chooses nothing
    Layer & layer = found->second;
    Class & c = classes_[size_t(layer.class_index)];
    if (c.policy == nullptr) return;
    layer_ = &layer;
    take_hits(c, layer, call, routing);
    if (!hits_.empty()) make_runs(c, call, routing.used);
}

// A model may have experts of both kinds, and a process caches of several models: what those do is said instead.
void ExpertCache::pass_over() {
    if (has_passed_over_) return;
    has_passed_over_ = true;
    if (state_ == State::Watching && layers_.empty() && totals().slots == 0)
        say("off: experts of this kind cannot be kept in VRAM");
}

// Leaves the CPU the groups that are not in VRAM. Slots that are, follow those of the last group, with those that have
// no valid expert: the CPU writes zeros for them.
void ExpertCache::take_hits(Class & c, const Layer & layer, const Call & call, Routing & r) {
    kept_.clear();
    const int resident = resident_groups(c, layer, r);
    const bool use_gpu = resident > 0 && is_worth(c, resident, r.groups - resident);
    int32_t groups = 0;
    for (int32_t g = 0; g < r.groups; ++g) {
        const int32_t e = r.expert[g], first = r.begin[g], n = r.begin[g + 1] - first;
        const int index = layer.first + e, at = c.policy->slot_of(index);
        c.policy->use(index, n, static_cast<int>(call.tokens));
        if (at >= 0 && use_gpu) {
            for (int32_t i = 0; i < n; ++i) {
                hits_.push_back({r.slot[first + i], e, at});
            }
            continue;
        }
        if (at < 0) missed_.push_back(index);
        r.expert[groups] = e;
        r.begin[groups++] = static_cast<int32_t>(kept_.size());
        kept_.insert(kept_.end(), r.slot + first, r.slot + first + n);
    }
    totals().lookups += uint64_t(r.groups);
    totals().hits += uint64_t(r.groups - groups);
    r.groups = groups;
    r.begin[groups] = static_cast<int32_t>(kept_.size());
    std::copy(kept_.begin(), kept_.end(), r.slot);
    for (size_t i = 0; i < hits_.size(); ++i) {
        r.slot[kept_.size() + i] = hits_[i].slot;
    }
}

void ExpertCache::make_runs(const Class & c, const Call & call, int used) {
    std::stable_sort(hits_.begin(), hits_.end(),
                     [&](const Hit & a, const Hit & b) { return a.at / c.per_bank < b.at / c.per_bank; });
    ids_.resize(hits_.size());
    for (size_t i = 0; i < hits_.size();) {
        const int bank = hits_[i].at / c.per_bank;
        Run run;
        run.bank = c.banks[size_t(bank)].get();
        run.first = static_cast<int>(i);
        for (; i < hits_.size() && hits_[i].at / c.per_bank == bank; ++i) {
            ids_[i] = hits_[i].at % c.per_bank;
        }
        run.count = static_cast<int>(i) - run.first;
        run.shared_row = call.tokens == 1;
        const int rows = run.shared_row ? 1 : run.count;
        float * x = run.bank->input(run.shared_row ? run.count : 1, rows);
        run.x = x;
        for (int j = 0; j < rows; ++j) {
            std::memcpy(x + size_t(j) * size_t(c.shape.n_embd),
                        call.x->at(hits_[size_t(run.first) + size_t(j)].slot / used),
                        size_t(c.shape.n_embd) * sizeof(float));
        }
        runs_.push_back(run);
    }
}

void ExpertCache::launch() {
    for (Run & run : runs_) {
        const int used = run.shared_row ? run.count : 1;
        run.started = run.bank->start(ids_.data() + run.first, used, run.count / used);
    }
}

const std::vector<ExpertCache::Run> & ExpertCache::finish() {
    for (Run & run : runs_) {
        if (run.started) run.out = run.bank->finish();
    }
    return runs_;
}

void ExpertCache::end() {
    if (watched_experts_ > 0) {
        const double s = seconds_since(begun_) / watched_experts_;
        if (cpu_s_per_expert_ == 0 || s < cpu_s_per_expert_) cpu_s_per_expert_ = s;
    }
    if (layer_ == nullptr) return;
    bool failed = false;
    for (const Run & run : runs_) {
        failed |= run.out == nullptr;
    }
    if (failed) return give_up("a GPU failed");
    for (const Run & run : runs_) {
        if (const size_t grown = run.bank->take_growth()) count_bytes(layer_->gpu, grown);
    }
    Class & c = classes_[size_t(layer_->class_index)];
    for (const int index : missed_) {
        Uploader::Order o;
        if (!c.policy->admit(index, o.upload)) continue;
        if (o.upload.evicted >= 0) set_in_vram(c, o.upload.evicted, -1);
        o.class_index = size_t(layer_->class_index);
        o.bank = c.banks[size_t(o.upload.slot / c.per_bank)].get();
        o.slot = o.upload.slot % c.per_bank;
        o.from = layer_->weights;
        o.expert = index - layer_->first;
        uploader_.add(o);
    }
    c.policy->advance(1 / double(c.layers.size()));
}

void ExpertCache::drop_uploads_from(const ggml_backend_buffer * buffer) {
    uploader_.drop(buffer);
}

void ExpertCache::wait_for_uploads() {
    uploader_.wait();
}

// ---- what others may know ----

const char * cache_stats(ggml_moe_cache_stats * out) {
    Totals & t = totals();
    *out = {t.lookups, t.hits, t.uploads, t.uploaded_bytes, t.failures, t.slots, t.resident, t.experts};
    std::lock_guard<std::mutex> lock(t.mutex);
    return t.text;
}

void cache_stats_reset() {
    Totals & t = totals();
    t.lookups = t.hits = t.uploads = t.uploaded_bytes = t.failures = 0;
}

uint64_t cache_bytes(const void * device) {
    Totals & t = totals();
    std::lock_guard<std::mutex> lock(t.mutex);
    uint64_t sum = 0;
    for (const auto & [gpu, bytes] : t.bytes) {
        if (device == nullptr || device == gpu) sum += bytes;
    }
    return sum;
}

double cached_part() {
    const Totals & t = totals();
    const uint64_t slots = t.slots, experts = t.experts;
    return experts > 0 ? std::min(1.0, double(slots) / double(experts)) : 0;
}

void caches_forget(const ggml_backend_buffer * buffer) {
    Totals & t = totals();
    std::lock_guard<std::mutex> lock(t.mutex);
    for (ExpertCache * c : t.caches) {
        c->drop_uploads_from(buffer);
    }
}

}  // namespace moe

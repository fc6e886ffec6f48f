#include "store.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "ggml-backend.h"
#include "ggml.h"
#include "ggml/log.h"
#include "os/memory.h"
#include "pages.h"
#include "ram.h"
#include "setting.h"

namespace moe {

namespace {

constexpr uint64_t PAGE = ModelFile::PAGE;
constexpr double GIB = 1024.0 * 1024 * 1024;
// Left free, beside dense weights: compute buffers that nothing has touched yet, other programs.
constexpr uint64_t LEAST_MARGIN = 512ull << 20, MARGIN_SHARE = 16;
constexpr int SHRINK = 16;        // of the blocks, given back at a time
constexpr size_t VICTIMS = 1024;  // chosen at a time

uint64_t margin_of(const Ram & ram) {
    return std::min(std::max(ram.total / MARGIN_SHARE, LEAST_MARGIN), ram.available / 4);
}

double now_s() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

size_t block_for(size_t expert_bytes) {  // wherever in a page it begins
    return (expert_bytes + 2 * PAGE - 1) / PAGE * PAGE;
}

}  // namespace

ExpertStore & ExpertStore::instance() {
    static ExpertStore & store = *new ExpertStore;  // never destroyed: buffers may be freed while the process ends
    return store;
}

void ExpertStore::say(const std::string & text) {
    text_ = texts_.insert(text).first->c_str();
}

const char * ExpertStore::text() {
    std::lock_guard<std::mutex> lock(mutex_);
    return text_;
}

void ExpertStore::stats(ggml_moe_disk_stats * out) {
    std::lock_guard<std::mutex> lock(mutex_);
    *out = stats_;
}

void ExpertStore::reset_stats() {
    std::lock_guard<std::mutex> lock(mutex_);
    stats_.lookups = stats_.hits = stats_.read_bytes = stats_.failures = 0;
}

// ---- whether ----

void ExpertStore::mapped(const ggml_backend_buffer * buffer, const void * base, size_t bytes) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (buffers_.empty()) {
        const RamSetting setting = ram_setting();
        is_never_ = setting.kind == RamSetting::Off;
        is_always_ = setting.kind == RamSetting::On || setting.kind == RamSetting::Size;
        wanted_bytes_ = setting.bytes;
        text_ = is_never_ ? "off" : "off: the model fits in RAM";
    }
    buffers_[buffer] = {static_cast<const uint8_t *>(base), bytes, nullptr};
    if (is_never_ || state_ == Open) return;
    decide();
    // What else takes memory, the KV cache first, is allocated later.
    if (state_ == Off) state_.store(Undecided, std::memory_order_release);
}

void ExpertStore::decide() {
    uint64_t bytes = 0;
    for (const auto & entry : buffers_) {
        bytes += entry.second.bytes;
    }
    const Ram ram = read_ram();
    const bool fits = ram.total == 0 || bytes + margin_of(ram) / 2 <= ram.available;
    state_.store(fits && !is_always_ ? Off : Wanted, std::memory_order_release);
}

void ExpertStore::forget(const ggml_backend_buffer * buffer) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (buffers_.erase(buffer) == 0) return;
    for (auto at = tensors_.begin(); at != tensors_.end();) {
        Tensor & t = *at->second;
        if (t.buffer != buffer) {
            ++at;
            continue;
        }
        for (int32_t e = 0; e < t.n_expert; ++e) {
            if (t.pieces[e].slot < 0) continue;
            Reader::wait(t.pieces[e]);
            release(t.pieces[e]);
        }
        t.blocks = nullptr;
        auto & of_layer = layers_[t.layer];
        of_layer.erase(std::find(of_layer.begin(), of_layer.end(), at->second));
        if (of_layer.empty()) layers_.erase(t.layer);
        at = tensors_.erase(at);
    }
    victims_.clear();
    held_.clear();
    if (tensors_.empty()) close();
}

// The last model is gone: the next one may have other shapes.
void ExpertStore::close() {
    for (auto & entry : classes_) {
        os::release(entry.second->base, entry.second->reserved_bytes);
    }
    classes_.clear();
    stats_.ram_bytes = stats_.resident_bytes = stats_.expert_bytes = 0;
    dense_bytes_ = locked_bytes_ = 0;
    last_layer_ = -1;
    state_.store(buffers_.empty() || is_never_ ? Off : Undecided, std::memory_order_release);
}

bool ExpertStore::reads(const ggml_tensor * weights) {
    if (!is_on() || weights->buffer == nullptr) return false;
    std::lock_guard<std::mutex> lock(mutex_);
    return (state_ == Wanted || state_ == Open) && buffers_.count(weights->buffer) > 0;
}

// ---- memory ----

void ExpertStore::open() {
    const Ram ram = read_ram();
    margin_bytes_ = margin_of(ram);
    std::map<size_t, uint64_t> counts;  // blocks by size
    std::vector<std::pair<const ggml_backend_buffer *, ModelFile::Tensor>> listed;
    uint64_t mapped = 0, experts = 0;
    for (auto & [buffer, b] : buffers_) {
        mapped += b.bytes;
        b.file = ModelFile::at(b.base);
        if (b.file == nullptr) continue;
        const uint64_t begin = b.file->offset_of(b.base);
        for (ModelFile::Tensor & t : b.file->tensors()) {
            if (t.experts == 0 || t.offset < begin || t.offset + t.bytes > begin + b.bytes) continue;
            counts[block_for(t.bytes / static_cast<size_t>(t.experts))] += static_cast<uint64_t>(t.experts);
            experts += t.bytes;
            // What loading has read of it gives way at once, not when memory has run out.
            advise(Pages::inside(b.base + (t.offset - begin), t.bytes), os::Advice::NOT_NEEDED);
            b.file->drop(t.offset, t.offset + t.bytes);
            listed.emplace_back(buffer, std::move(t));
        }
    }
    dense_bytes_ = mapped - std::min(mapped, experts);
    const uint64_t taken = dense_bytes_ + margin_bytes_;
    const uint64_t budget = wanted_bytes_ != 0 ? wanted_bytes_ : ram.available - std::min(ram.available, taken);
    make_classes(counts, experts == 0 ? 0 : std::min(1.0, double(budget) / double(experts)));
    for (const auto & [buffer, t] : listed) {
        add_tensor(buffer, buffers_[buffer], t);
    }
    stats_.expert_bytes = experts;
    looked_at_ = now_s();
    char text[256] = "off: no memory, or no file, to keep experts from";
    if (!classes_.empty()) {
        std::snprintf(text, sizeof text, "%.2f of %.2f GiB of experts stay in RAM, the others are read from disk",
                      double(stats_.ram_bytes) / GIB, double(experts) / GIB);
    }
    say(text);
    log_info("%s\n", text);
    state_.store(classes_.empty() ? Off : Open, std::memory_order_release);
}

void ExpertStore::make_classes(const std::map<size_t, uint64_t> & counts, double share) {
    for (const auto & [block, n] : counts) {
        auto c = std::make_unique<Class>();
        c->block_bytes = block;
        c->slots = static_cast<int>(share * double(n));
        c->reserved_bytes = block * static_cast<size_t>(c->slots);
        if (c->slots == 0) continue;
        void * memory = os::reserve(c->reserved_bytes);
        if (memory == nullptr) continue;  // its experts are read through the mapping
        c->base = static_cast<uint8_t *>(memory);
        stats_.ram_bytes += c->reserved_bytes;
        classes_[block] = std::move(c);
    }
}

// Other programs may need memory, too. Blocks are given back, and taken again.
void ExpertStore::watch_ram() {
    if (wanted_bytes_ != 0 || now_s() - looked_at_ < ram_source().interval_s) return;
    looked_at_ = now_s();
    const uint64_t available = read_ram().available, mapped = dense_bytes_ - std::min(dense_bytes_, locked_bytes_);
    const uint64_t left = available - std::min(available, mapped);
    const bool is_short = left < margin_bytes_ / 2;
    const bool is_ample = left > 2 * margin_bytes_;
    for (auto & entry : classes_) {
        Class & c = *entry.second;
        for (int i = 0; i <= c.slots / SHRINK && is_short; ++i) {
            if (c.free.empty() && c.used < c.slots) c.free.push_back(c.used++);
            if (c.free.empty()) {
                if (Piece * p = victim(c)) release(*p);
            }
            if (c.free.empty()) break;
            c.given_back.push_back(c.free.back());
            c.free.pop_back();
            advise(Pages::inside(c.base + size_t(c.given_back.back()) * c.block_bytes, c.block_bytes),
                   os::Advice::NOT_NEEDED);
            stats_.ram_bytes -= c.block_bytes;
        }
        for (int i = 0; i <= c.slots / SHRINK && is_ample && !c.given_back.empty(); ++i) {
            c.free.push_back(c.given_back.back());
            c.given_back.pop_back();
            stats_.ram_bytes += c.block_bytes;
        }
    }
}

// Every layer is known from the file's header, so that the first prompt's next layer is, too.
void ExpertStore::add_tensor(const ggml_backend_buffer * buffer, const Buffer & b, const ModelFile::Tensor & listed) {
    const auto experts = static_cast<size_t>(listed.experts);
    const auto blocks = classes_.find(block_for(listed.bytes / experts));
    if (blocks == classes_.end()) return;
    auto t = std::make_shared<Tensor>();
    t->buffer = buffer;
    t->file = b.file;
    t->offset = listed.offset;
    t->expert_bytes = listed.bytes / experts;
    t->n_expert = static_cast<int32_t>(experts);
    t->layer = listed.layer;
    t->blocks = blocks->second.get();
    t->uses = Uses(t->n_expert);
    t->pieces = std::make_unique<Piece[]>(experts);
    for (int32_t e = 0; e < t->n_expert; ++e) {
        t->pieces[e].tensor = t.get();
        t->pieces[e].expert = e;
    }
    tensors_[b.base + (listed.offset - b.file->offset_of(b.base))] = t;
    layers_[t->layer].push_back(t);
}

std::shared_ptr<ExpertStore::Tensor> ExpertStore::tensor_of(const ggml_tensor * weights) const {
    const auto known = tensors_.find(weights->data);
    if (known == tensors_.end()) return nullptr;
    const Tensor & t = *known->second;
    const bool is_it = weights->ne[2] == t.n_expert && weights->nb[2] == t.expert_bytes && weights->buffer == t.buffer;
    return is_it ? known->second : nullptr;
}

void ExpertStore::release(Piece & piece) {
    piece.tensor->blocks->free.push_back(piece.slot);
    stats_.resident_bytes -= piece.tensor->blocks->block_bytes;
    piece.slot = -1;
    piece.here.store(false, std::memory_order_relaxed);
}

void ExpertStore::find_victims(const Class & blocks) {
    Victims & v = victims_[&blocks];
    v.worst_last.clear();
    v.found_at = clock_;
    struct Candidate {
        bool is_done;
        float use;
        Piece * piece;
    };
    std::vector<Candidate> all;
    for (auto & entry : tensors_) {
        Tensor & t = *entry.second;
        for (int32_t e = 0; e < t.n_expert && t.blocks == &blocks; ++e) {
            Piece & p = t.pieces[e];
            if (p.slot < 0 || p.pins > 0 || !p.here.load(std::memory_order_acquire)) continue;
            all.push_back({is_prompt_ && p.touched >= pass_began_, t.uses.of(e), &p});
        }
    }
    // A prompt needs every expert of one layer after another: whatever it makes room with, it will miss later in the
    // same pass, unless it has passed it already.
    const auto is_worse = [](const Candidate & a, const Candidate & b) {
        return a.is_done != b.is_done ? a.is_done
               : a.use != b.use       ? a.use < b.use
                                      : a.piece->touched > b.piece->touched;
    };
    const size_t n = std::min(all.size(), VICTIMS);
    std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(n), all.end(), is_worse);
    for (size_t i = n; i-- > 0;) {
        v.worst_last.push_back(all[i].piece);
    }
}

// A call of this layer begins; `is_prompt`: it needs most of the layer's experts.
void ExpertStore::pass(int32_t layer, bool is_prompt) {
    ++clock_;
    if (layer <= last_layer_) pass_began_ = clock_;
    last_layer_ = layer;
    if (is_prompt || is_prompt_) victims_.clear();  // what is done has changed
    is_prompt_ = is_prompt;
}

// The least used that nobody needs now; null if there is none.
ExpertStore::Piece * ExpertStore::victim(const Class & blocks) {
    for (int tries = 0; tries < 2; ++tries) {
        Victims & v = victims_[&blocks];
        while (!v.worst_last.empty()) {
            Piece * p = v.worst_last.back();
            v.worst_last.pop_back();
            const bool is_current = p->slot >= 0 && p->pins == 0 && p->touched <= v.found_at;
            if (is_current && p->here.load(std::memory_order_acquire)) return p;
        }
        find_victims(blocks);
    }
    return nullptr;
}

bool ExpertStore::give_block(Piece & piece) {
    Class & c = *piece.tensor->blocks;
    if (c.free.empty() && c.used < c.slots) c.free.push_back(c.used++);
    if (c.free.empty()) {
        if (Piece * p = victim(c)) release(*p);
    }
    if (c.free.empty()) return false;
    piece.slot = c.free.back();
    c.free.pop_back();
    stats_.resident_bytes += c.block_bytes;
    return true;
}

void ExpertStore::hold(const ggml_tensor * weights) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (state_ == Undecided) decide();
    if (state_ != Open || buffers_.count(weights->buffer) == 0 || !held_.insert(weights->data).second) return;
    const Pages pages = Pages::around(weights->data, ggml_nbytes(weights));
    advise(pages, os::Advice::NEEDED_SOON);
    if (os::lock(pages.data(), pages.bytes())) locked_bytes_ += pages.bytes();
}

}  // namespace moe

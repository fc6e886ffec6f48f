#include "fetch.h"

#include <cstring>
#include <stdexcept>

#include "ggml.h"
#include "pages.h"

namespace moe {

namespace {

constexpr int AHEAD_SHARE = 8;  // of the blocks, at most, for the next layer

std::string describe(int error) {
    return error == ModelFile::TOO_SHORT ? "the file became shorter" : std::strerror(error);
}

}  // namespace

Fetch::~Fetch() {
    std::lock_guard<std::mutex> lock(ExpertStore::instance().mutex_);
    unpin(pins_);
    unpin(next_);
}

void Fetch::unpin(Pins & pins) {
    for (auto & [tensor, expert] : pins) {
        --tensor->pieces[expert].pins;
    }
    pins.clear();
}

void Fetch::add(const ggml_tensor * tensor, Weights & weights) {
    ExpertStore & store = ExpertStore::instance();
    std::lock_guard<std::mutex> lock(store.mutex_);
    if (store.state_ == ExpertStore::Undecided) store.decide();
    if (store.state_ == ExpertStore::Wanted) store.open();
    if (store.state_ != ExpertStore::Open) return;
    std::shared_ptr<ExpertStore::Tensor> t = store.tensor_of(tensor);
    if (t == nullptr) return;
    if (wants_.size() == n_wants_) wants_.emplace_back();
    Want & want = wants_[n_wants_++];
    want.tensor = std::move(t);
    want.weights = &weights;
    want.first = weights.data - static_cast<const uint8_t *>(tensor->data);
    want.mapping = static_cast<const uint8_t *>(tensor->data);
}

void Fetch::go(Job & job) {
    if (n_wants_ == 0) return;
    ExpertStore & store = ExpertStore::instance();
    std::lock_guard<std::mutex> lock(store.mutex_);
    std::vector<Reader::Order> orders;
    const Routing & r = job.routing;
    const bool is_prompt = r.groups >= wants_[0].tensor->n_expert * MOST;
    for (const auto & [tensor, expert] : next_) {
        forget_failure(tensor->pieces[expert], 1);
    }
    store.watch_ram();
    store.pass(wants_[0].tensor->layer, is_prompt);
    counts_.assign(size_t(wants_[0].tensor->n_expert), 0);
    for (int32_t g = 0; g < r.groups; ++g) {
        counts_[size_t(r.expert[g])] = r.begin[g + 1] - r.begin[g];
    }
    for (size_t i = 0; i < n_wants_; ++i) {
        Want & w = wants_[i];
        const bool is_again = i > 0 && w.tensor == wants_[i - 1].tensor;  // gate and up in one tensor
        if (!is_again) w.tensor->uses.add(counts_.data(), job.tokens);
        for (int32_t g = 0; g < r.groups; ++g) {  // nothing of these may make room for another
            ExpertStore::Piece & p = w.tensor->pieces[r.expert[g]];
            forget_failure(p, 0);
            ++p.pins;
            p.touched = store.clock_;
            pins_.emplace_back(w.tensor, r.expert[g]);
        }
        w.arrivals.resize(size_t(r.groups));
    }
    through_mapping_.clear();
    // Gate and up of an expert, then those of the next; what is multiplied last is read last.
    const size_t n_first = job.has_down && n_wants_ > 1 ? n_wants_ - 1 : n_wants_;
    for (int32_t g = 0; g < r.groups; ++g) {
        for (size_t i = 0; i < n_first; ++i) {
            want_piece(wants_[i], g, r.expert[g], orders);
        }
    }
    for (int32_t g = 0; g < r.groups && n_first < n_wants_; ++g) {
        want_piece(wants_[n_first], g, r.expert[g], orders);
    }
    order_groups(job, n_first);
    unpin(next_);
    if (is_prompt) ask_for_next(wants_[0].tensor->layer, orders);
    if (!orders.empty()) store.reader_.add(orders);
    for (size_t i = 0; i < n_wants_; ++i) {
        wants_[i].weights->arrivals = wants_[i].arrivals.data();
        wants_[i].weights->first_byte = static_cast<size_t>(wants_[i].first);
        wants_[i].weights->wait = Reader::wait;
    }
}

Reader::Order Fetch::order_of(ExpertStore::Tensor & t, ExpertStore::Piece & p) {
    return {&p, t.file, t.offset + size_t(p.expert) * t.expert_bytes, t.expert_bytes,
            t.blocks->base + size_t(p.slot) * t.blocks->block_bytes};
}

void Fetch::want_piece(Want & w, int32_t group, int32_t expert, std::vector<Reader::Order> & orders) {
    ExpertStore & store = ExpertStore::instance();
    ExpertStore::Tensor & t = *w.tensor;
    ExpertStore::Piece & p = t.pieces[expert];
    ++store.stats_.lookups;
    w.arrivals[size_t(group)] = &p;
    if (p.slot >= 0) {
        if (p.here.load(std::memory_order_acquire)) ++store.stats_.hits;
    } else if (store.give_block(p)) {
        orders.push_back(order_of(t, p));
        store.stats_.read_bytes += t.expert_bytes;
    } else {  // everything is needed at once by others
        Arrival & a = through_mapping_.emplace_back();
        a.data = w.mapping + size_t(expert) * t.expert_bytes;
        a.here = true;
        advise(Pages::around(a.data, t.expert_bytes), os::Advice::NEEDED_SOON);
        w.arrivals[size_t(group)] = &a;
    }
}

// Groups whose first products can begin, then the others in the order in which they are read.
void Fetch::order_groups(Job & job, size_t n_first) {
    const int32_t groups = job.routing.groups;
    std::vector<int32_t> later;
    order_.clear();
    for (int32_t g = 0; g < groups; ++g) {
        bool here = true;
        for (size_t i = 0; i < n_first; ++i) {
            here = here && wants_[i].arrivals[size_t(g)]->here.load(std::memory_order_acquire);
        }
        (here ? order_ : later).push_back(g);
    }
    order_.insert(order_.end(), later.begin(), later.end());
    job.order = order_.data();
}

// A prompt needs nearly every expert of every layer: those of the next are read while this one is computed.
void Fetch::ask_for_next(int32_t layer, std::vector<Reader::Order> & orders) {
    ExpertStore & store = ExpertStore::instance();
    const auto next = store.layers_.upper_bound(layer);
    if (next == store.layers_.end()) return;
    for (const auto & t : next->second) {
        for (int32_t e = 0; e < t->n_expert; ++e) {
            ++t->pieces[e].pins;
            next_.emplace_back(t, e);
        }
    }
    std::map<const ExpertStore::Class *, int> asked;
    for (const auto & [t, e] : next_) {
        ExpertStore::Piece & p = t->pieces[e];
        // What is read ahead takes the place of something else, which must not be most of what is kept.
        if (p.slot >= 0 || asked[t->blocks]++ >= t->blocks->slots / AHEAD_SHARE || !store.give_block(p)) continue;
        orders.push_back(order_of(*t, p));
        store.stats_.read_bytes += t->expert_bytes;
    }
}

// What could not be read ahead is not taken for read: it is asked for again. `pins`: by this fetch itself.
void Fetch::forget_failure(ExpertStore::Piece & p, int32_t pins) {
    if (p.slot < 0 || p.pins != pins || !p.here.load(std::memory_order_acquire)) return;
    if (p.error.exchange(0, std::memory_order_relaxed) != 0) ExpertStore::instance().release(p);
}

void Fetch::forget_wants() {
    for (size_t i = 0; i < n_wants_; ++i) {
        wants_[i].weights->arrivals = nullptr;
        wants_[i].tensor.reset();
    }
    n_wants_ = 0;
}

void Fetch::abandon() {
    if (n_wants_ == 0) return;
    std::lock_guard<std::mutex> lock(ExpertStore::instance().mutex_);
    forget_wants();
    unpin(pins_);
}

void Fetch::end() {
    if (n_wants_ == 0) return;
    ExpertStore & store = ExpertStore::instance();
    std::string problem;
    {
        std::lock_guard<std::mutex> lock(store.mutex_);
        forget_wants();
        for (auto & [tensor, expert] : pins_) {
            ExpertStore::Piece & p = tensor->pieces[expert];
            --p.pins;
            const int error = p.error.load(std::memory_order_relaxed);
            if (p.slot < 0 || error == 0) continue;
            problem = tensor->file->path() + ": expert " + std::to_string(expert) + " of layer " +
                      std::to_string(tensor->layer) + " could not be read: " + describe(error);
            ++store.stats_.failures;
            if (p.pins > 0) continue;  // another call must learn of it as well
            store.release(p);
            p.error = 0;
        }
        pins_.clear();
    }
    if (!problem.empty()) throw std::runtime_error(problem);
}

}  // namespace moe

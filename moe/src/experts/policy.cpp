#include "policy.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace moe {

namespace {
constexpr double REBASE = 512;  // half-lives after which uses are brought back, far from the end of a double
}

CachePolicy::CachePolicy(int experts, int slots, PolicyParams params)
    : params_(params),
      use_(size_t(experts), 0.0),
      slot_(size_t(experts), -1),
      ready_(size_t(experts), 0),
      slot_expert_(size_t(std::min(slots, experts)), -1),
      heap_at_(slot_expert_.size(), -1) {
    for (int s = static_cast<int>(slot_expert_.size()); s-- > 0;) {
        free_.push_back(s);
    }
    heap_.reserve(slot_expert_.size());
}

// A batch reads an expert once, however many of its tokens need it: that is one use, and how many do is a reason to
// prefer one expert to another, but none to replace it.
void CachePolicy::use(int expert, int tokens, int of) {
    const double popularity = of > 1 ? double(tokens) / of : 0;
    use_[size_t(expert)] += (1 + popularity) * std::exp2(time_);
    const int slot = slot_[size_t(expert)];
    if (slot >= 0 && heap_at_[size_t(slot)] >= 0) sift(size_t(heap_at_[size_t(slot)]));
}

void CachePolicy::advance(double batches) {
    time_ += batches / params_.half_life;
    if (time_ < REBASE) return;
    for (double & u : use_) {
        u *= std::exp2(-time_);
    }
    time_ = 0;
}

double CachePolicy::use_of(int expert) const {
    return use_[size_t(expert)] * std::exp2(-time_);
}

bool CachePolicy::admit(int expert, Upload & upload) {
    if (slot_[size_t(expert)] >= 0 || in_flight_ >= params_.in_flight) return false;
    int slot = -1, victim = -1;
    if (!free_.empty()) {
        slot = free_.back();
        free_.pop_back();
    } else {
        if (heap_.empty()) return false;
        victim = slot_expert_[size_t(heap_[0])];
        if (use_of(expert) - use_of(victim) < params_.price) return false;
        slot = heap_[0];
        remove(slot);
        slot_[size_t(victim)] = -1;
        ready_[size_t(victim)] = 0;
    }
    slot_[size_t(expert)] = slot;
    slot_expert_[size_t(slot)] = expert;
    ++in_flight_;
    upload = {expert, slot, victim};
    return true;
}

void CachePolicy::uploaded(const Upload & u) {
    --in_flight_;
    ready_[size_t(u.expert)] = 1;
    push(u.slot);
}

void CachePolicy::failed(const Upload & u) {
    --in_flight_;
    slot_[size_t(u.expert)] = -1;
    slot_expert_[size_t(u.slot)] = -1;
    free_.push_back(u.slot);
}

void CachePolicy::place(size_t at, int slot) {
    heap_[at] = slot;
    heap_at_[size_t(slot)] = static_cast<int>(at);
}

// Moves the slot at this place of the heap to where it belongs.
void CachePolicy::sift(size_t at) {
    const int slot = heap_[at];
    const double w = weight(slot);
    for (; at > 0 && w < weight(heap_[(at - 1) / 2]); at = (at - 1) / 2) {
        place(at, heap_[(at - 1) / 2]);
    }
    for (size_t child = 2 * at + 1; child < heap_.size(); child = 2 * at + 1) {
        if (child + 1 < heap_.size() && weight(heap_[child + 1]) < weight(heap_[child])) ++child;
        if (w <= weight(heap_[child])) break;
        place(at, heap_[child]);
        at = child;
    }
    place(at, slot);
}

void CachePolicy::push(int slot) {
    heap_.push_back(slot);
    place(heap_.size() - 1, slot);
    sift(heap_.size() - 1);
}

void CachePolicy::remove(int slot) {
    const size_t at = size_t(heap_at_[size_t(slot)]);
    const int last = heap_.back();
    heap_.pop_back();
    heap_at_[size_t(slot)] = -1;
    if (last == slot) return;
    place(at, last);
    sift(at);
}

std::vector<int> share_slots(const std::vector<ExpertClass> & classes, size_t bytes) {
    double total = 0;
    for (const ExpertClass & c : classes) {
        total += double(c.experts) * double(c.expert_bytes);
    }
    std::vector<int> slots;
    for (const ExpertClass & c : classes) {
        const double share = total > 0 ? std::min(1.0, double(bytes) / total) : 0;
        slots.push_back(static_cast<int>(share * c.experts));
    }
    return slots;
}

}  // namespace moe

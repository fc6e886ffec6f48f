// Which experts are worth a place in VRAM. Pure: it knows neither a GPU nor time, only uses.
//
// Every expert has a use that decays: each batch that reads it adds one, and half of the sum is forgotten in every
// half-life. A miss takes a free slot at once; otherwise it replaces the least used resident only if its own use is
// higher by the price of an upload. Least recently used, which uploads every miss, hits about as
// often and uploads several times as much (docs/OFFLOADING.md has both, on a public trace).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace moe {

struct PolicyParams {
    double half_life = 8;  // batches (bench/LOG.md, entry 37)
    double price = 1;      // of an upload, in uses: how many later reads of the CPU's it must save
    int in_flight = 64;    // uploads that were asked for and have not ended, at most
};

// The slots of one class of equal experts; several layers share them. An expert is an index, 0..experts-1, over all
// layers of the class.
class CachePolicy {
public:
    CachePolicy(int experts, int slots, PolicyParams params = {});

    int slots() const { return static_cast<int>(slot_expert_.size()); }
    // The slot that holds this expert's weights, or -1 if none does yet.
    int slot_of(int expert) const { return ready_[size_t(expert)] ? slot_[size_t(expert)] : -1; }

    // `tokens` of the `of` tokens of a batch were routed to this expert.
    void use(int expert, int tokens, int of);
    void advance(double batches);  // time passes

    struct Upload {
        int expert, slot;
        int evicted = -1;  // the expert that lay there before
    };
    // Whether this expert, which was just used and missed, is to be uploaded.
    bool admit(int expert, Upload & upload);
    void uploaded(const Upload & u);  // its weights are in the slot
    void failed(const Upload & u);    // they are not: the slot is free again

    int in_flight() const { return in_flight_; }
    double use_of(int expert) const;  // decayed to now

private:
    // A heap of the slots whose experts are resident, least used first. Uses are kept as if they had happened at time 0
    // (value · 2^(time / half-life)), so that time alone changes no order.
    void sift(size_t at);
    void place(size_t at, int slot);
    void remove(int slot);
    void push(int slot);
    double weight(int slot) const { return use_[size_t(slot_expert_[size_t(slot)])]; }

    PolicyParams params_;
    double time_ = 0;               // in half-lives, since the uses were last brought back to 1
    std::vector<double> use_;       // by expert
    std::vector<int> slot_;         // by expert; -1
    std::vector<char> ready_;       // by expert
    std::vector<int> slot_expert_;  // by slot; -1: free
    std::vector<int> free_;         // slots
    std::vector<int> heap_;         // slots
    std::vector<int> heap_at_;      // by slot; -1: not in the heap
    int in_flight_ = 0;
};

// Shares `bytes` among classes so that each gets the same part of its experts: slots per class, at most all its
// experts.
struct ExpertClass {
    int experts = 0;          // of all layers
    size_t expert_bytes = 0;  // all matrices of one
};
std::vector<int> share_slots(const std::vector<ExpertClass> & classes, size_t bytes);

}  // namespace moe

// Experts that one call needs: asked of the store all at once, waited for one by one.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "store.h"

namespace moe {

// What one call of one context reads. Calls come one after another.
class Fetch {
public:
    Fetch() = default;
    ~Fetch();
    Fetch(const Fetch &) = delete;
    Fetch & operator=(const Fetch &) = delete;

    // The experts of this product that the routing will name; `weights`, whose data points into the mapping, learns
    // where they are. What cannot be kept is read through the mapping.
    void add(const ggml_tensor * tensor, Weights & weights);
    // Asks for all that is missing at once, and for the next layer's if this one needs most. Sets the order in which
    // groups are computed: what is there first.
    void go(Job & job);
    // Nothing is needed any more. Throws std::runtime_error if something could not be read.
    void end();
    // The same where a call failed on the way, or none was made.
    void abandon();

private:
    static constexpr double MOST = 0.5;  // of a layer's experts: a prompt

    struct Want {
        std::shared_ptr<ExpertStore::Tensor> tensor;
        Weights * weights = nullptr;
        const uint8_t * mapping = nullptr;
        std::ptrdiff_t first = 0;               // byte of an expert's weights that this product begins with
        std::vector<const Arrival *> arrivals;  // by group
    };
    using Pins = std::vector<std::pair<std::shared_ptr<ExpertStore::Tensor>, int32_t>>;

    static Reader::Order order_of(ExpertStore::Tensor & t, ExpertStore::Piece & p);
    void want_piece(Want & w, int32_t group, int32_t expert, std::vector<Reader::Order> & orders);
    void order_groups(Job & job, size_t n_first);
    void ask_for_next(int32_t layer, std::vector<Reader::Order> & orders);
    static void forget_failure(ExpertStore::Piece & p, int32_t pins);
    static void unpin(Pins & pins);
    void forget_wants();

    std::vector<Want> wants_;
    size_t n_wants_ = 0;
    Pins pins_, next_;
    std::vector<int32_t> order_, counts_;
    std::deque<Arrival> through_mapping_;
};

}  // namespace moe

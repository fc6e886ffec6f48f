#include "quality/search/type_search.h"

namespace shimmy::quality {

namespace {

struct Step {
    size_t group = 0;
    size_t option = 0;
};

class Search {
public:
    Search(const std::vector<TensorGroup> & groups, const Budget & budget)
        : groups_(groups), budget_(budget), picked_(groups.size(), 0) {
        for (const TensorGroup & group : groups)
            add(group, group.options.front().bytes);
    }

    std::optional<std::vector<size_t>> run() {
        // Every step saves bytes, so both loops end. VRAM first: only some groups help there.
        while (device_bytes_ > budget_.device_bytes) {
            if (!take(cheapest_saving(/*device_only=*/true))) return std::nullopt;
        }
        while (total_bytes_ > budget_.total_bytes) {
            if (!take(cheapest_saving(/*device_only=*/false))) return std::nullopt;
        }
        while (take(best_return())) {
        }
        return picked_;
    }

private:
    const TypeOption & current(size_t group) const { return groups_[group].options[picked_[group]]; }

    void add(const TensorGroup & group, uint64_t bytes) {
        total_bytes_ += bytes;
        if (group.on_device) device_bytes_ += bytes;
    }

    bool take(const std::optional<Step> & step) {
        if (!step) return false;
        const TensorGroup & group = groups_[step->group];
        const uint64_t saved = current(step->group).bytes - group.options[step->option].bytes;
        add(group, uint64_t{0} - saved);  // modulo 2^64, as unsigned numbers are: also for a step that adds bytes
        picked_[step->group] = step->option;
        return true;
    }

    std::optional<Step> cheapest_saving(bool device_only) const {
        std::optional<Step> best;
        double best_slope = 0.0;
        for (size_t g = 0; g < groups_.size(); ++g) {
            if (device_only && !groups_[g].on_device) continue;
            for (size_t o = 0; o < groups_[g].options.size(); ++o) {
                const TypeOption & option = groups_[g].options[o];
                if (option.bytes >= current(g).bytes) continue;
                const double slope =
                    (option.kld - current(g).kld) / static_cast<double>(current(g).bytes - option.bytes);
                if (best && slope >= best_slope) continue;
                best = Step{g, o};
                best_slope = slope;
            }
        }
        return best;
    }

    // The option that fits into what is left and lowers the KL divergence the most.
    std::optional<Step> best_return() const {
        std::optional<Step> best;
        double best_gain = 0.0;
        for (size_t g = 0; g < groups_.size(); ++g) {
            for (size_t o = 0; o < groups_[g].options.size(); ++o) {
                const TypeOption & option = groups_[g].options[o];
                const double gain = current(g).kld - option.kld;
                const bool fits = option.bytes <= current(g).bytes || fits_more(g, option.bytes - current(g).bytes);
                if (gain <= best_gain || !fits) continue;
                best = Step{g, o};
                best_gain = gain;
            }
        }
        return best;
    }

    bool fits_more(size_t group, uint64_t bytes) const {
        return bytes <= budget_.total_bytes - total_bytes_ &&
               (!groups_[group].on_device || bytes <= budget_.device_bytes - device_bytes_);
    }

    const std::vector<TensorGroup> & groups_;
    Budget budget_;
    std::vector<size_t> picked_;
    uint64_t total_bytes_ = 0;
    uint64_t device_bytes_ = 0;
};

}  // namespace

std::optional<std::vector<size_t>> pick_types(const std::vector<TensorGroup> & groups, const Budget & budget) {
    return Search(groups, budget).run();
}

}  // namespace shimmy::quality

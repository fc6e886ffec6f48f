#include "engine/predict/layer_split.h"

#include <algorithm>
#include <limits>

namespace shimmy::engine {

namespace {

// How full the fullest of the GPUs so far is, and where the last of them begins.
struct Cut {
    double fullness = std::numeric_limits<double>::infinity();
    size_t start = 0;
};

// The same for one more GPU with `room` bytes, for each number of layers that all of them hold. `before[i]`: bytes of
// the first i layers.
std::vector<Cut> with_another(const std::vector<Cut> & others, const std::vector<double> & before, double room) {
    std::vector<Cut> cuts(before.size());
    for (size_t end = 0; end < before.size(); ++end) {
        for (size_t start = 0; start <= end; ++start) {
            const double fullness = std::max(others[start].fullness, (before[end] - before[start]) / room);
            if (fullness < cuts[end].fullness) cuts[end] = {fullness, start};
        }
    }
    return cuts;
}

}  // namespace

std::vector<uint32_t> split_layers(const std::vector<uint64_t> & layer_bytes,
                                   const std::vector<uint64_t> & room_bytes) {
    std::vector<double> before{0.0};
    for (const uint64_t bytes : layer_bytes)
        before.push_back(before.back() + static_cast<double>(bytes));
    std::vector<Cut> none(before.size());
    none.front().fullness = 0.0;
    std::vector<std::vector<Cut>> cuts{none};
    for (const uint64_t room : room_bytes)
        cuts.push_back(with_another(cuts.back(), before, std::max(static_cast<double>(room), 1.0)));

    std::vector<uint32_t> n_layers(room_bytes.size());
    size_t end = layer_bytes.size();
    for (size_t gpu = room_bytes.size(); gpu-- > 0;) {
        const size_t start = cuts[gpu + 1][end].start;
        n_layers[gpu] = static_cast<uint32_t>(end - start);
        end = start;
    }
    return n_layers;
}

}  // namespace shimmy::engine

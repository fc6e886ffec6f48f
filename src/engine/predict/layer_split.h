// Which GPU gets which layers of a model, where there are several.
#pragma once

#include <cstdint>
#include <vector>

namespace shimmy::engine {

// `layer_bytes`: what each layer puts into VRAM, in order. `room_bytes`: of each GPU. Returns how many layers each GPU
// gets, first layers first, so that the fullest one is as little full as can be: the cut that leaves the most room on
// every card, and that fits if any does.
std::vector<uint32_t> split_layers(const std::vector<uint64_t> & layer_bytes, const std::vector<uint64_t> & room_bytes);

}  // namespace shimmy::engine

// Computing on a thread that ends when it is done.
#pragma once

#include <future>
#include <utility>

namespace shimmy::engine {

// What fn gives; its exceptions pass. OpenMP keeps a team for every thread that computed until that thread ends, and
// once the teams have more threads than there are processors, all wait asleep between two operations: a token of a
// small model takes ten times as long. So who computes something, and leaves the rest to another thread, does it here.
template <class Fn>
auto on_passing_thread(Fn && fn) {
    return std::async(std::launch::async, std::forward<Fn>(fn)).get();
}

}  // namespace shimmy::engine

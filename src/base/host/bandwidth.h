// How fast this machine reads its RAM.
#pragma once

namespace shimmy {

// Bytes/s that `n_threads` read together from memory larger than the caches: the best of several passes, about half a
// second in all. What other programs read at the same time is missing from it.
double measure_ram_bandwidth(int n_threads);

}  // namespace shimmy

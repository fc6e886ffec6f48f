// How long the threads that compute stay awake while they wait for one another.
#pragma once

namespace shimmy {

// llama.cpp computes with libgomp, whose threads look 300,000 times (some 8 ms) for the others to arrive before they
// sleep. Where another program is busy, the kernel may put two of them onto one core, and each then waits for the other
// with the very core that the other needs: decoding falls to a twentieth. After SHORT_WAIT looks they sleep.
//
// libgomp reads its settings before main(), so the program starts itself again, once, unless the user has set how to
// wait (OMP_WAIT_POLICY, GOMP_SPINCOUNT). Returns where there is nothing to do, and where it cannot be done.
void wait_briefly(char * const * argv);

inline constexpr const char * SHORT_WAIT = "10000";  // looks: about 260 us (bench/LOG.md, entry 49)

}  // namespace shimmy

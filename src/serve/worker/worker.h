// The process in which one model computes.
#pragma once

namespace shimmy::serve {

// Answers what the server asks over the socket that is this process's stdout, until the server is gone. Never returns.
[[noreturn]] void run_worker();

}  // namespace shimmy::serve

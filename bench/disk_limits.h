// How fast this machine reads a file that is not in memory: blocks of 64 KiB to 8 MiB in random order, 1 to 32 at a
// time, past the page cache or through it, by read calls or by touching a mapping. The file must be larger than 256
// MiB, and should be larger than what a host of virtual machines would keep of it.
#pragma once

// Prints one JSON object of GB/s (10^9) by way of reading, bytes of a read, and reads in flight. Returns an exit code.
int disk_limits(const char * file);

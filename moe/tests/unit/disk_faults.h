// Faults of disks and file systems: the linker puts functions of this file in place of open() and pread(), as the
// library calls them.
#pragma once

#include <cstddef>

// What files do while it exists. Everything is as ever at first.
class DiskFaults {
public:
    DiskFaults();
    ~DiskFaults();
    DiskFaults(const DiskFaults &) = delete;
    DiskFaults & operator=(const DiskFaults &) = delete;

    void fail_reads(int error);        // an errno; 0: no more
    void end_files();                  // every read is past the end
    void shorten_reads(size_t bytes);  // no read gets more at a time
    void refuse_to_open_directly();    // as NFS and FUSE may
    void refuse_to_read_directly();    // as some that open such files
    int direct_reads() const;          // since it was made
    int buffered_reads() const;
};

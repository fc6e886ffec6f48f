// Internal to hub: sends the missing parts of a multipart upload, several at once.
#pragma once

#include "hub/upload/lfs_object.h"
#include "hub/upload/multipart_state.h"

#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>

namespace shimmy::hub {

enum class PartsOutcome {
    all_sent,
    refused,  // addresses have expired, or the storage has forgotten the upload
};

class PartSender {
public:
    PartSender(const LfsObject & object, MultipartState & state, const Note & note, const ByteProgress & progress)
        : object_(object), state_(state), note_(note), progress_(progress) {}

    // Throws what a part failed with, or Interrupted.
    PartsOutcome run(int n_parallel);

    uint64_t sent_bytes() const { return sent_bytes_; }

private:
    void work();
    bool take(size_t & part);
    void send_part(size_t part, Backoff & backoff);
    void fail_with(std::exception_ptr error);
    FileSlice slice_of(size_t part) const;

    const LfsObject & object_;
    MultipartState & state_;
    const Note & note_;
    const ByteProgress & progress_;

    std::mutex mutex_;  // guards what follows, and state_
    std::condition_variable changed_;
    size_t next_ = 0;
    int n_working_ = 0;
    bool refused_ = false;
    std::exception_ptr error_;
    std::atomic<bool> stop_{false};
    std::atomic<uint64_t> in_flight_bytes_{0};
    uint64_t done_bytes_ = 0;
    uint64_t sent_bytes_ = 0;
};

}  // namespace shimmy::hub

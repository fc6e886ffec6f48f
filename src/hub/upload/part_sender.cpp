#include "hub/upload/part_sender.h"

#include "base/process/interrupt.h"

#include <algorithm>
#include <thread>

namespace shimmy::hub {

namespace {

constexpr std::chrono::milliseconds PROGRESS_INTERVAL{100};

// Another part has failed: this one's transfer is given up.
struct Stopped {};

}  // namespace

FileSlice PartSender::slice_of(size_t part) const {
    const uint64_t chunk = state_.actions().chunk_bytes;
    const uint64_t first = part * chunk;
    return {object_.file, first, std::min(chunk, object_.size_bytes - first), nullptr};
}

PartsOutcome PartSender::run(int n_parallel) {
    next_ = 0;
    refused_ = false;
    stop_ = false;
    done_bytes_ = 0;
    for (size_t part = 0; part < state_.parts().size(); ++part) {
        if (state_.has(part)) done_bytes_ += slice_of(part).n_bytes;
    }
    std::vector<std::jthread> workers;
    n_working_ = n_parallel;
    for (int i = 0; i < n_parallel; ++i)
        workers.emplace_back([this] { work(); });
    std::unique_lock lock(mutex_);
    while (n_working_ > 0) {
        changed_.wait_for(lock, PROGRESS_INTERVAL);
        const uint64_t done = done_bytes_ + in_flight_bytes_;
        lock.unlock();
        try {
            if (progress_) progress_(std::min(done, object_.size_bytes), object_.size_bytes);
            check_interrupted();
        } catch (...) {
            fail_with(std::current_exception());
        }
        lock.lock();
    }
    lock.unlock();
    workers.clear();
    if (error_) std::rethrow_exception(error_);
    return refused_ ? PartsOutcome::refused : PartsOutcome::all_sent;
}

void PartSender::fail_with(std::exception_ptr error) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
    stop_ = true;
}

bool PartSender::take(size_t & part) {
    const std::lock_guard lock(mutex_);
    while (next_ < state_.parts().size() && state_.has(next_))
        ++next_;
    if (stop_ || refused_ || next_ == state_.parts().size()) return false;
    part = next_++;
    return true;
}

void PartSender::work() {
    try {
        for (size_t part = 0; take(part);) {
            Backoff backoff(fmt::format("part {} of {}", part + 1, object_.file.filename().string()),
                            [this](const std::string & line) {
                                const std::lock_guard lock(mutex_);
                                if (note_) note_(line);
                            });
            send_part(part, backoff);
        }
    } catch (const Stopped &) {
        // the reason is known
    } catch (...) {
        fail_with(std::current_exception());
    }
    const std::lock_guard lock(mutex_);
    --n_working_;
    changed_.notify_all();
}

void PartSender::send_part(size_t part, Backoff & backoff) {
    Request request;
    request.method = "PUT";
    request.url = state_.actions().part_hrefs.at(part);  // signed: no token
    request.file = slice_of(part);
    Digest hash(Digest::Kind::sha256);
    request.file->hash = &hash;
    while (!stop_) {
        uint64_t sent = 0;
        request.on_sent = [&](uint64_t n_bytes) {
            in_flight_bytes_ += n_bytes - sent;  // wraps back if the body begins again
            sent = n_bytes;
            if (stop_) throw Stopped();
        };
        const auto land = [&] {
            in_flight_bytes_ -= sent;
            sent = 0;
        };
        try {
            const Response response = send(request);
            land();
            if (response.ok()) {
                const std::string etag = response.header("etag");
                if (etag.empty()) fail("part {} of {}: the storage sent no ETag", part + 1, object_.file.string());
                const SentPart sent_part{etag, hash.hex()};
                const std::lock_guard lock(mutex_);
                state_.set(part, sent_part);
                done_bytes_ += request.file->n_bytes;
                sent_bytes_ += request.file->n_bytes;
                return;
            }
            if (response.status == 403 || response.status == 404) {
                const std::lock_guard lock(mutex_);
                refused_ = true;  // parts that are on their way may still get through
                return;
            }
            if (!backoff.again(response)) {
                fail("part {} of {}: the storage answered HTTP {} {}", part + 1, object_.file.string(), response.status,
                     server_message(response));
            }
        } catch (const TransportError & error) {
            land();
            if (!backoff.again(error)) throw;
        } catch (...) {
            land();
            throw;
        }
    }
}

}  // namespace shimmy::hub

#include "hub/upload/file_hashes.h"

#include "base/digest.h"
#include "base/error.h"
#include "base/process/interrupt.h"

#include <algorithm>
#include <chrono>
#include <fstream>

namespace shimmy::hub {

namespace {

constexpr uint64_t READ_BYTES = 1 << 20;
constexpr std::chrono::milliseconds WAKE_INTERVAL{100};

}  // namespace

FileHashes::FileHashes(const LfsObject & object, uint64_t part_bytes)
    : object_(object), part_bytes_(part_bytes), thread_([this](const std::stop_token & stop) { run(stop); }) {}

void FileHashes::check() const {
    const std::lock_guard lock(mutex_);
    if (error_) std::rethrow_exception(error_);
}

const std::vector<std::string> & FileHashes::parts() const {
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, WAKE_INTERVAL, [this] { return ended_; }))
        check_interrupted();
    if (error_) std::rethrow_exception(error_);
    return parts_;  // does not change any more
}

void FileHashes::run(const std::stop_token & stop) {
    std::exception_ptr error;
    try {
        read(stop);
    } catch (...) {
        error = std::current_exception();
    }
    const std::lock_guard lock(mutex_);
    error_ = error;
    ended_ = true;
    changed_.notify_all();
}

void FileHashes::read(const std::stop_token & stop) {
    std::ifstream stream(object_.file, std::ios::binary);
    std::vector<char> buffer(READ_BYTES);
    Digest whole(Digest::Kind::sha256);
    Digest part(Digest::Kind::sha256);
    std::vector<std::string> parts;
    while (whole.n_bytes() < object_.size_bytes) {
        if (stop.stop_requested()) return;
        const uint64_t left = std::min(part_bytes_ - part.n_bytes(), object_.size_bytes - whole.n_bytes());
        const auto n = static_cast<std::streamsize>(std::min(left, READ_BYTES));
        if (!stream.read(buffer.data(), n)) fail("{}: could not be read to its end", object_.file.string());
        const std::string_view bytes(buffer.data(), static_cast<size_t>(n));
        whole.update(bytes);
        part.update(bytes);
        if (part.n_bytes() < part_bytes_ && whole.n_bytes() < object_.size_bytes) continue;
        parts.push_back(part.hex());
        part.restart();
    }
    require_hash(object_, whole.hex());
    const std::lock_guard lock(mutex_);
    parts_ = std::move(parts);
}

void require_hash(const LfsObject & object, const std::string & sha256) {
    if (sha256 == object.sha256) return;
    fail(
        "{}: is not what was to be uploaded (its sha256 is {}…, not {}…): nothing was committed; put the right file "
        "back, and run the command again",
        object.file.string(), sha256.substr(0, 12), object.sha256.substr(0, 12));
}

}  // namespace shimmy::hub

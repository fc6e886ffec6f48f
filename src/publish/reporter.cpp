#include "publish/reporter.h"

#include <fmt/format.h>

namespace shimmy::publish {

ByteProgress Reporter::bar(const std::string & label) {
    const std::lock_guard lock(mutex_);
    progress_.reset();  // the last one leaves its line before the next begins one
    progress_ = std::make_unique<Progress>(label, quiet_, /*bytes=*/true);
    return [this](uint64_t done, uint64_t total) {
        const std::lock_guard guard(mutex_);
        if (progress_) progress_->update(done, total);
    };
}

void Reporter::end_bar() {
    const std::lock_guard lock(mutex_);
    progress_.reset();
}

void Reporter::note(const std::string & line) {
    const std::lock_guard lock(mutex_);
    if (progress_ && !quiet_) return progress_->note(line);
    fmt::print(stderr, "{}\n", line);
}

}  // namespace shimmy::publish

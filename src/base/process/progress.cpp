#include "base/process/progress.h"

#include "base/process/interrupt.h"
#include "base/text/units.h"

#include <fmt/format.h>

#include <unistd.h>
#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <mutex>

namespace shimmy {

namespace {

constexpr int BAR_WIDTH = 30;
constexpr std::chrono::milliseconds REDRAW_INTERVAL{100};
constexpr std::chrono::seconds COUNT_DOWN_INTERVAL{1};

std::string format_eta(double seconds) {
    const auto s = static_cast<long>(seconds);
    return s >= 3600 ? fmt::format("{}h{:02}m", s / 3600, s / 60 % 60) : fmt::format("{}:{:02}", s / 60, s % 60);
}

}  // namespace

Progress::Progress(std::string label, bool quiet, bool bytes)
    : label_(std::move(label)),
      quiet_(quiet),
      bytes_(bytes),
      terminal_(isatty(STDERR_FILENO) == 1),
      start_(std::chrono::steady_clock::now()) {}

Progress::~Progress() {
    clear();
}

void Progress::update(uint64_t done, uint64_t total) {
    check_interrupted();
    if (quiet_ || total == 0) return;
    if (!started_) done_at_start_ = done;
    started_ = true;
    const auto now = std::chrono::steady_clock::now();
    const int tenth = static_cast<int>(done * 10 / total);
    const bool due = terminal_ ? now - last_update_ >= REDRAW_INTERVAL || done == total : tenth > last_tenth_;
    if (!due) return;
    last_update_ = now;
    last_tenth_ = tenth;
    share_ = static_cast<double>(done) / static_cast<double>(total);
    const double elapsed_s = std::chrono::duration<double>(now - start_).count();
    rate_ = done > done_at_start_ ? static_cast<double>(done - done_at_start_) / elapsed_s : 0.0;
    left_s_ = rate_ > 0.0 ? static_cast<double>(total - done) / rate_ : 0.0;
    if (terminal_) return draw();
    fmt::print(stderr, "{}: {}%{}\n", label_, tenth * 10, bytes_ ? rate_text() : "");
}

void Progress::note(const std::string & line) {
    if (quiet_) return;
    clear();
    fmt::print(stderr, "{}\n", line);
}

void Progress::clear() {
    if (drawn_) fmt::print(stderr, "\r\x1b[K");
    drawn_ = false;
}

// The pace up to the last update is taken for that of the rest.
std::string Progress::rate_text() const {
    if (rate_ <= 0.0) return "";
    const double since_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - last_update_).count();
    const std::string left = fmt::format("  {} left", format_eta(std::max(0.0, left_s_ - since_s)));
    return bytes_ ? fmt::format("  {}/s{}", format_bytes(static_cast<uint64_t>(rate_)), left) : left;
}

void Progress::draw() {
    const int filled = static_cast<int>(share_ * BAR_WIDTH);
    const std::string left = rate_text();
    fmt::print(stderr, "\r\x1b[K{} [{:█>{}}{:░>{}}] {:3.0f}%{}", label_, "", filled, "", BAR_WIDTH - filled,
               share_ * 100.0, left);
    std::fflush(stderr);
    drawn_ = true;
}

std::jthread Progress::count_down() {
    if (quiet_ || !terminal_) return {};
    return std::jthread([this](const std::stop_token & stop) {
        std::mutex mutex;
        std::condition_variable_any wake;
        std::unique_lock lock(mutex);
        while (!wake.wait_for(lock, stop, COUNT_DOWN_INTERVAL, [] { return false; }) && !stop.stop_requested())
            draw();
    });
}

}  // namespace shimmy

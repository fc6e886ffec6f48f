#include "base/progress.h"

#include "base/interrupt.h"

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

Progress::Progress(std::string label, bool quiet)
    : label_(std::move(label)),
      quiet_(quiet),
      terminal_(isatty(STDERR_FILENO) == 1),
      start_(std::chrono::steady_clock::now()) {}

Progress::~Progress() {
    clear();
}

void Progress::update(uint64_t done, uint64_t total) {
    check_interrupted();
    if (quiet_ || total == 0) return;
    if (terminal_) {
        const auto now = std::chrono::steady_clock::now();
        if (now - last_update_ < REDRAW_INTERVAL && done < total) return;
        last_update_ = now;
        share_ = static_cast<double>(done) / static_cast<double>(total);
        draw();
        return;
    }
    const int tenth = static_cast<int>(done * 10 / total);
    if (tenth > last_tenth_) {
        last_tenth_ = tenth;
        fmt::print(stderr, "{}: {}%\n", label_, tenth * 10);
    }
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
void Progress::draw() {
    using seconds = std::chrono::duration<double>;
    const int filled = static_cast<int>(share_ * BAR_WIDTH);
    std::string left;
    if (share_ > 0.0) {
        const double left_then_s = seconds(last_update_ - start_).count() * (1.0 - share_) / share_;
        const double since_s = seconds(std::chrono::steady_clock::now() - last_update_).count();
        left = fmt::format("  {} left", format_eta(std::max(0.0, left_then_s - since_s)));
    }
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

#include "base/progress.h"

#include "base/interrupt.h"

#include <fmt/format.h>

#include <unistd.h>
#include <cstdio>

namespace shimmy {

namespace {

constexpr int BAR_WIDTH = 30;
constexpr std::chrono::milliseconds REDRAW_INTERVAL{100};

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
        if (now - last_draw_ < REDRAW_INTERVAL && done < total) return;
        last_draw_ = now;
        draw(done, total);
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

void Progress::draw(uint64_t done, uint64_t total) {
    const double share = static_cast<double>(done) / static_cast<double>(total);
    const int filled = static_cast<int>(share * BAR_WIDTH);
    const double elapsed_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    const std::string left =
        share > 0.0 ? fmt::format("  {} left", format_eta(elapsed_s * (1.0 - share) / share)) : "";
    fmt::print(stderr, "\r\x1b[K{} [{:█>{}}{:░>{}}] {:3.0f}%{}", label_, "", filled, "", BAR_WIDTH - filled,
               share * 100.0, left);
    std::fflush(stderr);
    drawn_ = true;
}

}  // namespace shimmy

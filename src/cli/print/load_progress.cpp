#include "cli/print/load_progress.h"

#include "base/process/process_memory.h"
#include "base/text/text.h"
#include "gguf/problems.h"

#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <filesystem>
#include <mutex>
#include <optional>
#include <utility>

namespace shimmy::cli {

namespace {

constexpr std::chrono::milliseconds REDRAW_INTERVAL{100};
constexpr size_t MAX_PATH_CHARS = 300;
constexpr size_t MAX_NAME_CHARS = 50;  // so that the line is one on a narrow terminal

}  // namespace

LoadProgress::LoadProgress(std::string name, uint64_t size_bytes)
    : name_(std::move(name)), size_bytes_(size_bytes), rss_bytes_(rss_bytes()) {
    thread_ = std::jthread([this](const std::stop_token & stop) {
        std::mutex mutex;
        std::condition_variable_any wake;
        std::unique_lock lock(mutex);
        do {
            draw();
        } while (!wake.wait_for(lock, stop, REDRAW_INTERVAL, [] { return false; }) && !stop.stop_requested());
    });
}

LoadProgress::~LoadProgress() {
    thread_.request_stop();
    thread_.join();
    fmt::print(stderr, "\r\x1b[K");
    std::fflush(stderr);
}

double LoadProgress::share() const {
    const uint64_t now = rss_bytes();
    const double in_memory = size_bytes_ == 0 || now < rss_bytes_
                                 ? 0.0
                                 : static_cast<double>(now - rss_bytes_) / static_cast<double>(size_bytes_);
    return std::clamp(std::max(told_.load(), in_memory), 0.0, 1.0);
}

// What follows the last weight is the context and the warm-up.
void LoadProgress::draw() const {
    if (told_ >= 1.0) {
        fmt::print(stderr, "\r\x1b[Kloading {}: 100%, warming up", name_);
    } else {
        fmt::print(stderr, "\r\x1b[Kloading {}: {:.0f}%", name_, share() * 100.0);
    }
    std::fflush(stderr);
}

engine::Model load_model(engine::LoadOptions options, const Globals & globals) {
    std::optional<LoadProgress> progress;
    for (const std::string & weakness : gguf::find_weaknesses(options.open_file()))
        fmt::print(stderr, "warning: {}: {}\n", printable(options.shown_name(), MAX_PATH_CHARS), weakness);
    if (!globals.json && globals.verbosity == 0 && ::isatty(STDERR_FILENO) == 1) {
        const std::string name = std::filesystem::path(options.shown_name()).filename().string();
        progress.emplace(printable(name, MAX_NAME_CHARS), options.open_file().size_bytes());
        options.on_progress = [&progress](double share) { progress->set(share); };
    }
    return engine::Model(options);
}

}  // namespace shimmy::cli

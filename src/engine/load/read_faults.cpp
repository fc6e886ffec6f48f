#include "engine/load/read_faults.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <fstream>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace shimmy::engine {

namespace {

// Addresses of a mapping; free if it has no end. A signal handler reads them, so what is free never has a begin alone.
struct Range {
    std::atomic<uintptr_t> begin = 0;
    std::atomic<uintptr_t> end = 0;
    std::atomic<int> n_watchers = 0;
    std::atomic<bool> failed = false;
};

std::array<Range, 1024> watched;  // a model of 100 files, in several pieces each
std::mutex watched_mutex;         // of those that change it
struct sigaction previous {};

// As if this handler were not there.
void pass_on(int number, siginfo_t * info, void * context) {
    if ((previous.sa_flags & SA_SIGINFO) != 0) {
        previous.sa_sigaction(number, info, context);
    } else if (previous.sa_handler == SIG_DFL || previous.sa_handler == SIG_IGN) {
        std::signal(number, SIG_DFL);  // the read is tried again, and ends the process
    } else {
        previous.sa_handler(number);
    }
}

void on_bus_error(int number, siginfo_t * info, void * context) {
    const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
    for (Range & range : watched) {
        const uintptr_t begin = range.begin, end = range.end;
        const bool is_watched = range.n_watchers > 0;  // else nobody would ask whether it failed
        if (address < begin || address >= end || !is_watched) continue;
        void * const zeros = ::mmap(reinterpret_cast<void *>(begin), end - begin, PROT_READ,
                                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
        if (zeros == MAP_FAILED) break;
        range.failed = true;
        return;
    }
    pass_on(number, info, context);
}

void install_handler() {
    static std::once_flag once;
    std::call_once(once, [] {
        struct sigaction action {};
        action.sa_sigaction = on_bus_error;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK;
        sigemptyset(&action.sa_mask);
        ::sigaction(SIGBUS, &action, &previous);
    });
}

// Of /proc/self/maps: "7f0000000000-7f0000001000 r--s 00000000 fd:00 1234   /path", newlines of the path as \012.
std::vector<std::pair<uintptr_t, uintptr_t>> mappings_of(const std::filesystem::path & file) {
    std::error_code ignored;
    const std::string name = std::filesystem::canonical(file, ignored).string();
    std::vector<std::pair<uintptr_t, uintptr_t>> result;
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
        if (name.empty() || !line.ends_with(" " + name)) continue;
        size_t dash = 0;
        const uintptr_t begin = std::stoull(line, &dash, 16);
        result.emplace_back(begin, std::stoull(line.substr(dash + 1), nullptr, 16));
    }
    return result;
}

}  // namespace

struct Mappings::Ranges {
    std::vector<Range *> taken;

    Ranges() = default;
    Ranges(const Ranges &) = delete;
    Ranges & operator=(const Ranges &) = delete;
    ~Ranges() {
        const std::lock_guard lock(watched_mutex);
        for (Range * range : taken)
            range->end = 0;
    }

    void take(uintptr_t begin, uintptr_t end) {
        const std::lock_guard lock(watched_mutex);
        const auto free =
            std::find_if(watched.begin(), watched.end(), [](const Range & range) { return range.end == 0; });
        if (free == watched.end()) return;
        free->failed = false;
        free->n_watchers = 0;
        free->begin = begin;
        free->end = end;
        taken.push_back(&*free);
    }
};

Mappings::Mappings(const std::filesystem::path & file) : ranges_(std::make_shared<Ranges>()) {
    for (const auto & [begin, end] : mappings_of(file))
        ranges_->take(begin, end);
    install_handler();
}

void Mappings::watch() const {
    if (ranges_ == nullptr) return;
    for (Range * range : ranges_->taken)
        ++range->n_watchers;
}

void Mappings::end_watch() const {
    if (ranges_ == nullptr) return;
    for (Range * range : ranges_->taken)
        --range->n_watchers;
}

bool Mappings::failed() const {
    return ranges_ != nullptr && std::any_of(ranges_->taken.begin(), ranges_->taken.end(),
                                             [](const Range * range) { return range->failed.load(); });
}

}  // namespace shimmy::engine

// How far a model is loaded, for the person who waits: one line on the terminal, gone when it is there.
#pragma once

#include "cli/globals.h"
#include "engine/load/load_options.h"
#include "engine/run/model.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>

namespace shimmy::cli {

// Loads the model, and shows how far it is where stderr is a terminal and nothing else is printed there.
engine::Model load_model(engine::LoadOptions options, const Globals & globals);

// The line itself, redrawn ten times a second. A mapped file is read by the kernel within one system call, in which
// llama.cpp tells nothing: the share is then what came into this process' memory.
class LoadProgress {
public:
    LoadProgress(std::string name, uint64_t size_bytes);
    ~LoadProgress();
    LoadProgress(const LoadProgress &) = delete;
    LoadProgress & operator=(const LoadProgress &) = delete;

    void set(double share) { told_ = share; }

private:
    void draw() const;
    double share() const;

    std::string name_;
    uint64_t size_bytes_;
    uint64_t rss_bytes_;  // of the process before
    std::atomic<double> told_{0.0};
    std::jthread thread_;
};

}  // namespace shimmy::cli

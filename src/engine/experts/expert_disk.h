// Experts of a model that is larger than RAM, which libggml-moe reads from disk when they are needed.
#pragma once

#include "base/json.h"

#include <cstdint>
#include <optional>
#include <string>

namespace shimmy::engine {

struct ExpertDisk {
    std::string state;            // what is read from disk, or why nothing is: "off: …"
    uint64_t ram_bytes = 0;       // of RAM for experts, at most
    uint64_t resident_bytes = 0;  // of these, in use
    uint64_t expert_bytes = 0;    // all experts
    // Since the last reset_expert_use():
    uint64_t lookups = 0;  // one per distinct expert, matrix and batch
    uint64_t hits = 0;     // of these, in RAM
    uint64_t read_bytes = 0;
    uint64_t failures = 0;  // experts that could not be read

    bool is_on() const { return ram_bytes > 0; }
    std::optional<double> hit_rate() const;  // nullopt: nothing was looked up
};

// Of this process; nullopt where libggml-moe is not loaded.
std::optional<ExpertDisk> expert_disk();

// The members above; null for nullopt.
Json to_json(const std::optional<ExpertDisk> & disk);
std::optional<ExpertDisk> expert_disk_from(const Json & document);

}  // namespace shimmy::engine

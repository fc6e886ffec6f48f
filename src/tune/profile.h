// What `shimmy tune` found for a model on a machine, kept in a file and used by the commands that load the model.
#pragma once

#include "base/files.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace shimmy::tune {

// Which file it is: its size, and a hash over its first MiB (metadata, with type and name) and last 64 KiB (weights).
// Reading a model whole to hash it takes longer than loading it. A renamed file is the same model.
struct ModelIdentity {
    std::string name;  // of the file, for people; not compared
    uint64_t size_bytes = 0;
    std::string sha256;  // of both ends

    bool operator==(const ModelIdentity & other) const {
        return size_bytes == other.size_bytes && sha256 == other.sha256;
    }
};

// What the figures depend on: measured elsewhere, they say nothing.
struct Machine {
    std::string cpu;
    int n_cores = 0;  // usable by this process: a container's share, too
    uint64_t ram_bytes = 0;
    std::vector<std::string> gpus;  // PCI ids

    bool operator==(const Machine &) const = default;
};

struct Versions {
    std::string shimmy;
    std::string llama_cpp;

    bool operator==(const Versions &) const = default;
};

// A value that was better than the default.
struct Choice {
    std::string setting;
    std::string value;
    std::vector<std::string> options;  // words of the command line
    double worth = 1.0;                // time with the default over time with it, beside the other choices
};

struct Profile {
    ModelIdentity model;
    Machine machine;
    Versions versions;
    std::string goal;
    std::string tuned_at;            // "2026-11-29T12:00:00Z"
    std::vector<std::string> given;  // options that held in every measurement
    uint32_t n_ctx = 0;              // tokens of context of each request, and requests at once: placements were
    uint32_t n_parallel = 1;         // measured to fit with these
    std::vector<Choice> choices;
    double gain = 0.0;  // all of them together over the defaults; 0: not measured
};

// The options among these words of a command line that say on which devices a model runs. With one card and with two,
// other settings are the best.
inline constexpr std::array DEVICE_FLAGS{"--device", "--gpu-backend", "--rpc"};
std::vector<std::string> device_words(const std::vector<std::string> & words);

ModelIdentity identify(const fs::path & model);
Machine this_machine();

// A folder below the configuration's. Empty: there is no home.
fs::path profiles_dir();

// Writes the profile in place of an earlier one of the same model, machine and devices. Returns the file.
fs::path save(const Profile & profile, const fs::path & dir);

struct FoundProfile {
    fs::path file;
    Profile profile;
    bool is_stale = false;  // of other versions: the figures may not hold
};

// That of the model on this machine with these devices, as device_words() gives them; else one with others. Files that
// are not profiles are passed over.
std::optional<FoundProfile> find_profile(const fs::path & dir, const fs::path & model, const Machine & machine,
                                         const Versions & versions, const std::vector<std::string> & devices);

}  // namespace shimmy::tune

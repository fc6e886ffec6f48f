// What the user says on the command line that more than one command reads.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace shimmy::cli {

// Options that every command takes, before or after its name, and those that many take (cli/placement_options.h).
struct Globals {
    bool json = false;
    int verbosity = 0;
    // Of many commands:
    std::string model_dirs;  // extra folders for names, separated by ';'
    std::string gpu_backend = "auto";
    std::string moe_backend = "auto";
    std::string moe_cache = "auto";
    std::optional<int> moe_gpu_min_batch;
    std::string rpc_servers;  // "host:port,host:port"
    std::optional<std::string> placement;
    bool cpu_moe = false;
    std::optional<int> n_cpu_moe;
    std::string vram;                     // at most, of each GPU
    std::vector<std::string> llama_args;  // what stands behind "--"
};

}  // namespace shimmy::cli

// What a running campaign is at, for `lab status` and for a second `lab run` on the same folder.
#pragma once

#include "base/files.h"
#include "base/json.h"

#include <optional>
#include <string>

namespace shimmy::lab {

struct RunState {
    int pid = 0;
    std::string host;
    std::string phase;    // "quantize", "run", "slurm", "quality"
    std::string current;  // what is being made now
    size_t n_done = 0;    // of this invocation
    size_t n_total = 0;
    std::string started_at;  // of this invocation; UTC, ISO 8601
    std::string current_started_at;
    std::optional<double> left_s;  // from the pace so far
};

// Held by the process that runs a campaign: its lock on the folder, which dies with it, and `running.json`.
class RunStateFile {
public:
    // Throws Error that names the other process if there is one.
    explicit RunStateFile(const fs::path & out_dir);
    ~RunStateFile();
    RunStateFile(const RunStateFile &) = delete;
    RunStateFile & operator=(const RunStateFile &) = delete;

    void update(const std::string & phase, const std::string & current, size_t n_done, size_t n_total);

private:
    fs::path file_;
    int lock_;
    RunState state_;
    double phase_start_s_ = 0.0;
};

// nullopt if no process runs a campaign in this folder.
std::optional<RunState> read_run_state(const fs::path & out_dir);

std::string now_utc();

}  // namespace shimmy::lab

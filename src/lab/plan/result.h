// The file of one run: what `shimmy generate --json` or `shimmy lab http --json` said, and under "run" what was asked
// for (docs/RESULTS.md has every field):
//
//   {"run": {"campaign", "settings": {…}, "started_at", "wall_ms", "command_line": […]}, …the document…}
//
// A run that failed has "error": {"message", "exit_code"} in place of the document.
#pragma once

#include "base/files.h"
#include "base/json.h"
#include "base/process/subprocess.h"
#include "lab/plan/plan.h"

#include <string>

namespace shimmy::lab {

// Everything a run's figures depend on that the campaign decides. A stored result counts only for equal settings.
// `program` is the version line of shimmy and llama.cpp.
Json run_settings(const Campaign & campaign, const Variant & variant, const Run & run, const std::string & model_sha256,
                  const std::string & program, const Backends & backends);

enum class ResultState {
    absent,   // no file
    invalid,  // not a whole result document
    stale,    // of other settings, or another model file
    failed,   // the run was made and failed
    valid,
};

struct StoredResult {
    ResultState state = ResultState::absent;
    std::string reason;  // why it is not valid, for people
    Json document;       // if valid
};

StoredResult load_result(const fs::path & file, const Json & settings);

// What a finished process leaves: its document, or an error with the reason. `run` becomes the "run" part. A document
// that lacks a figure or was made with other settings than asked for is an error too.
Json make_result(const Json & run, const ProcessResult & process, int timeout_s);

// What a run leaves that has no document of its own: the reason.
Json failed_result(const Json & run, const std::string & message);

// Reason why `document` cannot be used as a result of `settings`; empty if it can.
std::string defect(const Json & document, const Json & settings);

}  // namespace shimmy::lab

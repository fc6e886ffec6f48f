// Which quantization and placement to take for what: chat, code, long prompts, retrieval. Computed from the tasks and
// the prompts that stand for a use; what is not measured is not recommended.
#pragma once

#include "lab/measure/summary.h"
#include "report/figures/finding.h"
#include "report/text/table.h"

#include <optional>
#include <string>
#include <vector>

namespace shimmy::report {

// A quantization keeps up with the reference if the 95% interval of every task's difference lies above this share.
inline constexpr double KEEPS_UP = -0.03;

struct UseChoice {
    uint64_t vram_bytes = 0;  // from so much on
    std::string quantization;
    engine::Placement placement;
    double speed = 0.0;                     // decode rate, tokens/s, or TTFT, ms: the mean over the runs
    std::vector<std::string> as_fast = {};  // cells that fit, need more VRAM, and are not clearly faster

    std::string cell() const { return quantization + " " + engine::to_string(placement); }
};

struct UseAdvice {
    std::string use;                   // one of lab::USES
    std::string title;                 // "Long prompts"
    std::optional<Finding> basis;      // what decides; none if something is missing
    std::vector<std::string> missing;  // what is not measured, each with the line of the campaign that brings it
    std::vector<Finding> left_out;     // quantizations that do not keep up, or of which it cannot be told
    bool by_decode_rate = true;        // else by time to first token
    std::vector<UseChoice> choices;    // for growing VRAM; none if something is missing
};

// For every use of lab::USES. Among the cells that fit and whose quantization keeps up with the reference in the tasks
// of the use, the fastest on its prompts, run by run; of those that are not clearly slower, the one with the least
// VRAM. Nothing if no prompt or task of the campaign stands for a use.
std::vector<UseAdvice> advise(const lab::Summary & summary, const std::string & model);

// A line per choice; of a use without, one that says what is not measured.
Table use_table(const lab::Summary & summary, const std::string & model);

}  // namespace shimmy::report

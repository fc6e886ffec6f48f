// Two measurements of the same campaign: what changed beyond noise.
#pragma once

#include "eval/proportion.h"
#include "lab/compare/measured.h"
#include "lab/measure/effects.h"

#include <optional>
#include <string>
#include <vector>

namespace shimmy::lab {

// A fact that differs.
struct FactChange {
    std::string name;
    std::string a, b;
};

// A cell that both have. Changes are in percent of A's figure, over pairs of runs of the same prompt and repeat.
struct CellChange {
    MeasuredKey key;
    Change decode = {};
    Change prefill = {};
    Change ttft = {};
    uint64_t vram_bytes_a = 0;
    uint64_t vram_bytes_b = 0;
    bool same_file = true;       // by sha256
    size_t n_prompts = 0;        // with an answer in both
    size_t n_other_answers = 0;  // of these, with another text

    size_t n_pairs() const { return decode.n; }
    bool vram_changed() const;  // by more than rounding
    bool changed() const;       // a clear change of a figure, or other VRAM
};

struct LoadChange {
    MeasuredKey key;
    MeasuredLoad a, b;

    double percent() const { return 100.0 * (b.mean / a.mean - 1.0); }
    bool changed() const;  // two runs on either side, and the intervals do not meet
};

// Scores of the same file's name on the same questions.
struct TaskChange {
    MeasuredKey key;
    std::string metric;
    double share_a = 0.0;
    double share_b = 0.0;
    eval::Paired paired;  // first: A; n is 0 where the answers to each question are not there
    bool same_file = true;

    eval::Interval ci95() const { return eval::difference95(paired); }  // of B's share minus A's
    double p() const { return eval::mcnemar_exact(paired); }
    bool changed() const;  // the interval does not hold 0
};

struct Comparison {
    std::vector<FactChange> environment;
    std::vector<std::string> other_prompts;  // ids with another text, whose runs are not compared
    std::vector<CellChange> cells;
    std::vector<LoadChange> load;
    std::vector<TaskChange> tasks;
    std::vector<std::string> other_tasks;  // ids of which something else was asked; their scores are not compared
    std::vector<MeasuredKey> only_in_a;    // cells, load tests and scores
    std::vector<MeasuredKey> only_in_b;

    size_t n_changed() const;
};

// Throws Error if the two have no cell in common.
Comparison compare_campaigns(const MeasuredCampaign & a, const MeasuredCampaign & b);

// docs/RESULTS.md has every field.
Json to_json(const Comparison & comparison, const MeasuredCampaign & a, const MeasuredCampaign & b);

}  // namespace shimmy::lab

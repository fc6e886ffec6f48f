// Cells of the measurement: one model in one quantization, placement and mode, with the same settings, over all its
// runs.
#pragma once

#include "engine/experts/expert_use.h"
#include "engine/load/placement.h"
#include "lab/measure/statistics.h"
#include "lab/plan/campaign_plan.h"

#include <optional>
#include <string>
#include <vector>

namespace shimmy::lab {

// What was measured: a model in one quantization and placement, with the settings of a point.
struct CellKey {
    std::string model;
    std::string quantization;
    engine::Placement placement;
    Point point = {};

    bool operator==(const CellKey &) const = default;
    std::string name() const;  // in a sentence: "Q4_K_M offload"
};

// One placement of one variant, over all its runs.
struct Figures {
    uint64_t vram_bytes = 0;  // of all four kinds on the devices; the largest of the runs
    uint64_t model_bytes = 0;
    uint64_t context_bytes = 0;
    uint64_t compute_bytes = 0;
    uint64_t expert_cache_bytes = 0;            // copies of experts whose home is in RAM
    std::optional<uint64_t> device_used_bytes;  // as the driver says; empty where it says nothing
    uint64_t peak_rss_bytes = 0;                // the largest of the runs
    Statistics load_ms;
    Statistics ttft_ms;
    Statistics prefill_tps;
    Statistics decode_tps;
    Statistics total_ms;
};

// The first answer after loading.
struct ColdFigures {
    Statistics ttft_ms;
    Statistics prefill_tps;
    Statistics decode_tps;
};

struct Sample {
    std::string file;  // of the result
    std::string prompt_id;
    int repeat = 1;
    double ttft_ms = 0.0;
    double prefill_tps = 0.0;
    double decode_tps = 0.0;
    double total_ms = 0.0;
    double load_ms = 0.0;
    std::vector<double> token_ms;         // since the request
    std::vector<std::string> outlier_in;  // names of the figures in which it is an outlier
};

struct AnswerText {
    std::string prompt_id;
    std::string text;       // of the first repeat
    size_t n_distinct = 0;  // different texts among the repeats

    bool is_blank() const { return text.find_first_not_of(" \n\t") == std::string::npos; }
};

// Expert tensors that lie in one kind of buffer.
struct ExpertBuffer {
    std::string buffer_type;  // "CUDA0", "CPU_Mapped"
    bool host = false;        // in RAM
    size_t n_tensors = 0;
    uint64_t bytes = 0;

    bool operator==(const ExpertBuffer &) const = default;
};

// Of a result's document, in the order of the tensors; empty if it does not say.
std::vector<ExpertBuffer> expert_buffers(const Json & document);

struct Cell : CellKey {
    Mode mode = Mode::generate;
    size_t n_runs = 0;                    // planned
    std::vector<Sample> samples = {};     // of the valid runs
    std::optional<Figures> figures = {};  // if there are samples
    std::optional<ColdFigures> cold = {};
    size_t n_same_text_cold_warm = 0;
    std::vector<AnswerText> texts = {};
    std::optional<std::vector<engine::ExpertUse>> expert_use = {};  // over the runs, if all of them have counted it
    std::vector<ExpertBuffer> expert_buffers = {};                  // of the first run
    bool at_base = true;                                            // its point is what other points are compared with

    bool complete() const { return samples.size() == n_runs; }
};

inline constexpr const char * OUTLIER_RULE =
    "beyond Tukey's fences (1.5 interquartile ranges outside the quartiles) of the samples divided by the median of "
    "their prompt; outliers are marked and kept in every figure";
inline constexpr const char * INTERVAL_RULE =
    "95% interval of the mean over prompts and repeats, Student's t with n - 1 degrees of freedom";

// Why a valid result gives no sample of its cell; empty if it does.
std::string missing_figure(const Json & document);

CellKey key_of(const CampaignPlan & plan, size_t variant, engine::Placement placement, const Point & point);

// The points at which there are runs of this mode and placement, in the order of the campaign's design.
std::vector<Point> points_of(const Campaign & campaign, Mode mode, engine::Placement placement);

// Cells of every mode but load, in the campaign's order.
std::vector<Cell> make_cells(const CampaignPlan & plan);

}  // namespace shimmy::lab

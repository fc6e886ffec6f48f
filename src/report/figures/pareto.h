// Measured quality against what it costs: file size, VRAM, speed.
#pragma once

#include "report/figures/finding.h"
#include "report/figures/quality.h"
#include "report/text/table.h"

#include <optional>
#include <string>
#include <vector>

namespace shimmy::report {

enum class Cost { file_size, vram, speed };
const char * to_string(Cost cost);  // "file size", "VRAM", "decode rate"

// A quantization; of VRAM and speed, in a placement. Of quantizations that have quality figures and runs.
struct QualityPoint {
    std::string quantization;
    std::optional<engine::Placement> placement;  // none: of file_size
    double mean_kld = 0.0;
    double value = 0.0;     // bytes, or tokens/s
    bool on_front = false;  // Pareto: no other point is as good in both and better in one

    std::string placement_text() const { return placement ? engine::to_string(*placement) : ""; }
};

std::vector<QualityPoint> quality_points(const lab::Summary & summary, const std::string & model,
                                         const Quality & quality, Cost cost);

// Of a quantization, in any placement: "file size, VRAM"; empty: on no front.
std::string fronts_of(const lab::Summary & summary, const std::string & model, const Quality & quality,
                      const std::string & quantization);

struct Recommendation {
    uint64_t vram_bytes = 0;  // from so much on
    std::string quantization;
    engine::Placement placement;
    double mean_kld = 0.0;
    double decode_tps = 0.0;
};

// For growing VRAM, where it changes: the cell with the lowest mean KL divergence among those that fit and decode at
// least at half of the rate of the fastest that fits.
std::vector<Recommendation> recommendations(const lab::Summary & summary, const std::string & model,
                                            const Quality & quality);

Finding finding_of(const Recommendation & recommendation, const std::string & model);
// All as a table, with the option that gives the placement.
Table recommendation_table(const lab::Summary & summary, const std::string & model, const Quality & quality);

// A line per cell: its figures, and on which fronts it lies.
Table pareto_table(const lab::Summary & summary, const std::string & model, const Quality & quality);

}  // namespace shimmy::report

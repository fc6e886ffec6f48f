// Which placement to take on which card: of those that were measured, and as predicted for the others.
#pragma once

#include "base/files.h"
#include "base/json.h"
#include "lab/measure/summary.h"
#include "report/text/table.h"

#include <cstdint>
#include <map>
#include <string>

namespace shimmy::report {

// Per card size the fastest measured placement of each quantization that fits.
Table hardware_table(const lab::Summary & summary, const std::string & model);

// "fits whole"; "--n-cpu-moe 18" and the RAM that it takes; "-". `card` is engine::to_json(CardFit).
std::string card_text(const Json & card);

// Per card size the placement that keeps the most experts on it.
struct PredictedCards {
    int64_t n_ctx = 0;
    Table table;
};

// By model, from hardware/<model>.json (lab::predict_cards). A missing file is no error; one that is damaged throws
// Error that says how to make it again.
std::map<std::string, PredictedCards> read_predicted_cards(const lab::Summary & summary, const fs::path & out_dir);

}  // namespace shimmy::report

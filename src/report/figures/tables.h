// The tables of a campaign, for Markdown and the terminal.
#pragma once

#include "report/figures/quality.h"
#include "report/text/table.h"

#include <string>

namespace shimmy::report {

// What offloading saves and costs: a line per quantization and offloading placement of one model.
Table comparison_table(const lab::Summary & summary, const std::string & model);

// Every cell in every mode: VRAM by kind, load, TTFT cold and warm, prefill and decode rate with 95% intervals.
Table cell_table(const lab::Summary & summary, const std::string & model);

Table streaming_table(const lab::Summary & summary, const std::string & model);
Table load_table(const lab::Summary & summary, const std::string & model);

// Perplexity and divergence from the base; only the quantizations that have figures.
Table quality_table(const lab::Summary & summary, const std::string & model, const Quality & quality);

// Is a file the same model with its experts on the CPU? Only the quantizations that were checked.
Table offload_table(const lab::Summary & summary, const std::string & model, const Quality & quality);

Table file_table(const lab::Summary & summary, const std::string & model);

// results.csv: a line per run, RFC 4180.
std::string results_csv(const lab::Summary & summary);

}  // namespace shimmy::report

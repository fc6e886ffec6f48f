// Figures and facts of a summary (docs/RESULTS.md) as documents show them. Every function throws Error, naming the
// field, for what is not there: no document is made with a hole in it.
#pragma once

#include "base/json.h"

#include <cstdint>
#include <string>
#include <vector>

namespace shimmy::report {

// Field of an object, which must be there and of the type.
std::string text_of(const Json & object, const char * key);
double number_of(const Json & object, const char * key);
uint64_t bytes_of(const Json & object, const char * key);
std::string text_or(const Json & object, const char * key, const std::string & fallback);  // also for null

// Three significant digits: more than the spread of a measurement carries.
std::string figure(double value);
std::string size(const Json & object, const char * key);           // "1.40 GiB"
std::string median_and_range(const Json & statistics);             // "12.3\n11.9–12.8"
std::string mean_and_interval(const Json & statistics);            // "12.3 ± 0.4", "12.3" for one sample
std::string plus_minus(double value, double error, int decimals);  // "1.3463 ± 0.0070"
std::string one_line(std::string text);                            // line breaks as spaces

// A text that people or programs wrote, for Markdown: on one line, and shown as it is. No HTML, emphasis or link with
// another text comes of it.
std::string markdown_text(const std::string & text);
std::string markdown_code(const std::string & text);  // in backticks, which the text itself loses

bool is_software(const Json & summary);
bool is_synthetic(const Json & summary, const std::string & model);  // of a shape: its weights are random
std::string device_line(const Json & summary);
std::string host_line(const Json & summary);
std::string mode_name(const std::string & mode);

// The mode that tables of baseline against offload are made of: `generate`, or else the campaign's first.
std::string table_mode(const Json & summary);

// Cells with figures, of that mode, of one model ("": of all) in the summary's order.
std::vector<const Json *> cells_of(const Json & summary, const std::string & model);
std::vector<const Json *> rows_of(const Json & summary, const std::string & model);

// A cell's place in a sentence: "Q4_K_M offload".
std::string cell_name(const Json & cell);

// Standard deviation over mean of the samples divided by their prompt's median, so that prompts of different length are
// no spread; 0 for fewer than two samples of any prompt.
double spread_of(const Json & cell, const char * figure);

}  // namespace shimmy::report

// The runs that a table or a chart is made of.
#pragma once

#include "lab/measure/summary.h"

#include <string>
#include <vector>

namespace shimmy::report {

// Result files of one cell, relative to the campaign's folder.
struct Source {
    std::string name;  // "Q4_K_M offload, HTTP, streaming, threads 4"
    std::vector<std::string> files;
};

// Cells that tables compare and charts show, at the base of the axes.
std::vector<Source> base_sources(const lab::Summary & summary, const std::string & model);
// Every cell of every mode but load.
std::vector<Source> cell_sources(const lab::Summary & summary, const std::string & model);
std::vector<Source> streaming_sources(const lab::Summary & summary, const std::string & model);
std::vector<Source> load_sources(const lab::Summary & summary, const std::string & model);  // folders
std::vector<Source> task_sources(const lab::Summary & summary, const std::string & model);

// A line per cell with links to its files; "" for none.
std::string file_list(const std::vector<Source> & sources);
// "54 result files"
std::string n_files_text(const std::vector<Source> & sources);

}  // namespace shimmy::report

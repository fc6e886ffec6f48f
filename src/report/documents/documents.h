// Everything that `shimmy lab report` writes, from a summary and the quality files alone: the same input gives the same
// bytes.
#pragma once

#include "base/files.h"
#include "lab/measure/summary.h"
#include "report/template/templates.h"

#include <string>
#include <vector>

namespace shimmy::report {

struct Documents {
    std::vector<fs::path> written;
    std::vector<std::string> refused;  // a document that would have had a hole, and the command that fills it
};

// Under `out_dir`: summary.json, results.csv, report.md, report.html, whitepaper.md, answers.md, checklist.md,
// charts/<model>/*.{svg,png},
// cards/<repo>/README.md with its charts. `campaign_file` is what commands in the documents name, `rerun_command` the
// one that makes the runs that are missing.
Documents write_documents(const lab::Summary & summary, const fs::path & out_dir, const std::string & campaign_file,
                          const std::string & rerun_command, const Templates & templates = {});

// Where they lie and what was refused, for people.
std::string describe(const Documents & documents, const fs::path & out_dir);

}  // namespace shimmy::report

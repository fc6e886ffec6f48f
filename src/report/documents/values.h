// What the templates of documents can name: docs/TEMPLATES.md lists it.
#pragma once

#include "base/json.h"
#include "lab/import/llama_bench.h"
#include "lab/measure/summary.h"
#include "report/figures/quality.h"
#include "report/text/table.h"

#include <string>
#include <vector>

namespace shimmy::report {

// Commands that a document tells its reader.
struct Commands {
    std::string run;      // makes the runs that are missing
    std::string experts;  // measures expert use
    std::string publish;  // puts the model on the Hub
};

// Of every document: the campaign, its conditions, its models with their tables, what was found. Texts that people or
// programs wrote are made safe for Markdown.
// `imported` stands beside it, marked.
Json document_values(const lab::Summary & summary, const Quality & quality, const Commands & commands,
                     const std::vector<lab::ImportedFile> & imported = {});

// For a template, which has its own line break after it: "" without rows.
std::string markdown_or_nothing(const Table & table);

}  // namespace shimmy::report

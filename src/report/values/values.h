// What the templates of documents can name: docs/TEMPLATES.md lists it.
#pragma once

#include "base/json.h"
#include "lab/import/llama_bench.h"
#include "lab/measure/summary.h"
#include "report/figures/hardware.h"
#include "report/figures/quality.h"
#include "report/template/templates.h"
#include "report/text/markup.h"

#include <map>
#include <string>
#include <vector>

namespace shimmy::report {

// Commands that a document tells its reader.
struct Commands {
    std::string run;      // makes the runs that are missing
    std::string experts;  // measures expert use
    std::string publish;  // puts the model on the Hub
};

// What documents are made of.
struct Sources {
    const lab::Summary & summary;
    const Quality & quality;
    Commands commands = {};
    std::vector<lab::ImportedFile> imported = {};                // stand beside it, marked
    std::map<std::string, PredictedCards> predicted_cards = {};  // by model
};

// Of every document: the campaign, its conditions, its models with their tables, what was found, worded by `templates`.
// Texts that people or programs wrote are made safe for the markup.
Json document_values(const Sources & sources, const Templates & templates, Markup markup = Markup::markdown);

}  // namespace shimmy::report

// Model cards for the Hugging Face Hub.
#pragma once

#include "report/documents/card_repos.h"
#include "report/figures/quality.h"
#include "report/template/templates.h"
#include "report/values/values.h"

#include <map>
#include <string>
#include <vector>

namespace shimmy::report {

// What of a card's figures is missing, each with the command or the line of the campaign that brings it; empty if the
// card can be made.
std::vector<std::string> card_obstacles(const lab::Summary & summary, const Quality & quality, const CardRepo & repo,
                                        const std::string & rerun_command);

// Files of the repository's folder: README.md, its charts, and LICENSE if the campaign names a file with its text.
std::map<std::string, std::string> card_files(const Sources & sources, const CardRepo & repo,
                                              const Templates & templates = {});

}  // namespace shimmy::report

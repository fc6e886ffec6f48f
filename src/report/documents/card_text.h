// The paragraphs of a model card that are not tables.
#pragma once

#include "report/documents/card_repos.h"
#include "report/figures/quality.h"

#include <string>

namespace shimmy::report {

// As it is published: of a model that is split for the Hub, the first part.
std::string file_name_of(const lab::MeasuredFile & variant);

std::string front_matter(const lab::Summary & summary, const CardRepo & repo);
std::string which_to_choose(const lab::Summary & summary, const Quality & quality, const std::string & model);
std::string how_to_run(const lab::Summary & summary, const CardRepo & repo);
std::string recipe(const lab::Summary & summary, const std::string & model);
std::string credits(const lab::Summary & summary, const CardRepo & repo);
std::string limits(const lab::Summary & summary, const std::string & model);

}  // namespace shimmy::report

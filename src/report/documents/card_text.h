// The paragraphs of a model card that are not tables.
#pragma once

#include "base/json.h"
#include "report/documents/card_repos.h"
#include "report/figures/quality.h"

#include <string>

namespace shimmy::report {

const Json & model_of(const Json & summary, const std::string & name);
const Json & variant_of(const Json & summary, const std::string & model, const std::string & quantization);
// As it is published: of a model that is split for the Hub (a variant's "parts"), the first part.
std::string file_name_of(const Json & variant);

std::string front_matter(const Json & summary, const CardRepo & repo);
std::string which_to_choose(const Json & summary, const Quality & quality, const std::string & model);
std::string how_to_run(const Json & summary, const CardRepo & repo);
std::string recipe(const Json & summary, const std::string & model);
std::string credits(const Json & summary, const CardRepo & repo);
std::string limits(const Json & summary, const std::string & model);

}  // namespace shimmy::report

// Something that the figures of a campaign say. Which sentence it is and its figures are computed; the words are in
// templates/sentences.txt.jinja (report/values/wording.h).
#pragma once

#include "base/json.h"

#include <string>

namespace shimmy::report {

struct Finding {
    std::string model;              // empty: of the whole campaign
    std::string kind;               // of the sentence: "reduction"
    Json figures = Json::object();  // what it names, figures as finished text
};

}  // namespace shimmy::report

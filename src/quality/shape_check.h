// Is a file the model that it should be? A checklist against a shape.
#pragma once

#include "gguf/model_info.h"
#include "gguf/shape.h"

#include <string>
#include <vector>

namespace shimmy::quality {

enum class CheckStatus { pass, fail, skipped };
const char * to_string(CheckStatus status);  // "pass", "fail", "skipped"

struct ShapeCheck {
    std::string what;
    CheckStatus status = CheckStatus::pass;
    std::string expected;
    std::string got;
};

// What the shape expects of the metadata; a value that it does not name is not checked.
std::vector<ShapeCheck> check_metadata(const gguf::Expectations & expect, const gguf::ModelInfo & info);

// Loads the model as --cpu-moe does on a GPU and looks where each tensor really lies. `device` is empty for the first
// GPU; without one it is skipped. Modules must be loaded.
ShapeCheck check_placement(const std::string & file, const gguf::ModelInfo & info, const std::string & device);

// The same left out, or failed for a model without experts.
ShapeCheck skip_placement(const gguf::ModelInfo & info, const std::string & reason);

}  // namespace shimmy::quality

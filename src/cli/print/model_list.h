// Models as `list` and `discover` print them.
#pragma once

#include "base/json.h"
#include "library/catalog.h"

namespace shimmy::cli {

// {"models": [{name, path, size_bytes, model_type, parameter_count, n_params, source, quantization, arch, n_expert}],
//  "warnings": […]}. parameter_count is text ("41.9B") or null.
Json model_list_document(const library::Catalog & catalog);

// One aligned line per model: name, type, quantization, parameters, size.
std::string model_list_text(const library::Catalog & catalog);

// Warnings, one line each, on stderr.
void print_warnings(const library::Catalog & catalog);

// Keeps the models that generate text.
void keep_llms(library::Catalog & catalog);

}  // namespace shimmy::cli

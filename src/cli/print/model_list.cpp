#include "cli/print/model_list.h"

#include "base/text/text.h"
#include "base/text/units.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace shimmy::cli {

namespace {

constexpr size_t MAX_LINE_CHARS = 1000;

std::string text_or_dash(const std::string & text) {
    return text.empty() ? "-" : text;
}

std::string parameters(const library::CatalogModel & model) {
    return model.n_params == 0 ? "" : format_count(model.n_params);
}

std::string experts(const library::CatalogModel & model) {
    return model.n_expert == 0 ? "" : fmt::format("{} experts", model.n_expert);
}

}  // namespace

Json model_list_document(const library::Catalog & catalog) {
    Json models = Json::array();
    for (const library::CatalogModel & model : catalog.models) {
        models.push_back({{"name", model.name},
                          {"path", model.path.string()},
                          {"size_bytes", model.size_bytes},
                          {"model_type", library::to_string(model.type)},
                          {"parameter_count", model.n_params == 0 ? Json(nullptr) : Json(format_count(model.n_params))},
                          {"n_params", model.n_params == 0 ? Json(nullptr) : Json(model.n_params)},
                          {"source", model.source},
                          {"quantization", model.quantization.empty() ? Json(nullptr) : Json(model.quantization)},
                          {"arch", model.arch},
                          {"n_expert", model.n_expert}});
    }
    return {{"models", models}, {"warnings", catalog.warnings}};
}

std::string model_list_text(const library::Catalog & catalog) {
    // Names are those of files, which may hold anything.
    const auto shown = [](const library::CatalogModel & model) { return printable(model.name, MAX_LINE_CHARS); };
    size_t width = 4;
    for (const library::CatalogModel & model : catalog.models)
        width = std::max(width, shown(model).size());
    std::string out;
    for (const library::CatalogModel & model : catalog.models) {
        std::string line =
            fmt::format("{:<{}}  {:<10} {:<9} {:>7} {:>10}  {:<11} {}", shown(model), width,
                        library::to_string(model.type), text_or_dash(model.quantization),
                        text_or_dash(parameters(model)), format_bytes(model.size_bytes), experts(model), model.source);
        line.erase(line.find_last_not_of(' ') + 1);
        out += line + "\n";
    }
    return out;
}

void print_warnings(const library::Catalog & catalog) {
    for (const std::string & warning : catalog.warnings)
        fmt::print(stderr, "warning: {}\n", printable(warning, MAX_LINE_CHARS));
}

void keep_llms(library::Catalog & catalog) {
    std::erase_if(catalog.models, [](const library::CatalogModel & model) { return !library::is_llm(model.type); });
}

}  // namespace shimmy::cli

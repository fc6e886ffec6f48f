#include "library/catalog.h"

#include "base/error.h"
#include "gguf/gguf_file.h"
#include "gguf/model_info.h"

namespace shimmy::library {

namespace {

CatalogModel describe(const FoundModel & found) {
    const gguf::GgufFile file(found.path);
    CatalogModel model;
    model.name = found.name;
    model.path = found.path;
    model.source = found.source;
    model.type = gguf::model_type(file);
    model.arch = file.metadata().find_string("general.architecture").value_or("");
    model.size_bytes = file.size_bytes();
    if (is_llm(model.type) || model.type == ModelType::embedding) {
        const gguf::ModelInfo info = gguf::read_model_info(file);
        model.quantization = info.quantization;
        model.n_params = info.n_params;
        model.n_expert = info.n_expert;
    }
    return model;
}

}  // namespace

Catalog read_catalog(const std::vector<SearchDir> & dirs) {
    Scan found = scan(dirs);
    Catalog catalog;
    catalog.warnings = std::move(found.warnings);
    for (const FoundModel & model : found.models) {
        try {
            catalog.models.push_back(describe(model));
        } catch (const Error & error) {
            catalog.warnings.emplace_back(error.what());
        }
    }
    return catalog;
}

}  // namespace shimmy::library

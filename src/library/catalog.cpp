#include "library/catalog.h"

#include "base/error.h"
#include "gguf/gguf_file.h"
#include "gguf/model_info.h"

namespace shimmy::library {

namespace {

constexpr const char * PROJECTOR_ARCH = "clip";  // llama.cpp's mmproj files

bool is_embedding_arch(std::string_view arch) {
    return arch.find("bert") != std::string_view::npos || arch.find("embedding") != std::string_view::npos ||
           arch == "t5encoder";
}

// From "general.type", which converters write, and where it is missing (vocabularies) or says "model" from the rest.
ModelType model_type(const gguf::GgufFile & file) {
    const std::string_view general_type = file.metadata().find_string("general.type").value_or("model");
    const std::string_view arch = file.metadata().find_string("general.architecture").value_or("");
    if (general_type == "adapter") return ModelType::adapter;
    if (general_type == "imatrix") return ModelType::imatrix;
    if (general_type == "mmproj" || arch == PROJECTOR_ARCH) return ModelType::projector;
    if (general_type != "model" || arch.empty()) return ModelType::other;
    if (file.tensors().empty()) return ModelType::vocabulary;
    if (is_embedding_arch(arch)) return ModelType::embedding;
    const auto n_expert = file.metadata().find_ints(std::string(arch) + ".expert_count");
    for (const int64_t n : n_expert.value_or(std::vector<int64_t>{})) {
        if (n > 0) return ModelType::moe;
    }
    return ModelType::dense;
}

CatalogModel describe(const FoundModel & found) {
    const gguf::GgufFile file(found.path);
    CatalogModel model;
    model.name = found.name;
    model.path = found.path;
    model.source = found.source;
    model.type = model_type(file);
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

const char * to_string(ModelType type) {
    switch (type) {
        case ModelType::moe:
            return "moe";
        case ModelType::dense:
            return "dense";
        case ModelType::embedding:
            return "embedding";
        case ModelType::projector:
            return "projector";
        case ModelType::adapter:
            return "adapter";
        case ModelType::imatrix:
            return "imatrix";
        case ModelType::vocabulary:
            return "vocabulary";
        case ModelType::other:
            return "other";
    }
    return "other";
}

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

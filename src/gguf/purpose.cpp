#include "gguf/purpose.h"

#include <algorithm>
#include <array>
#include <string>

namespace shimmy::gguf {

namespace {

constexpr const char * PROJECTOR_ARCH = "clip";  // llama.cpp's mmproj files

// llama.cpp's models of text diffusion, which hold no key that says so.
constexpr std::array<std::string_view, 4> DIFFUSION_ARCHS{"dream", "llada", "llada-moe", "rnd1"};

std::string_view arch_of(const GgufFile & file) {
    return file.metadata().find_string("general.architecture").value_or("");
}

std::string key_of(const GgufFile & file, const char * name) {
    return std::string(arch_of(file)) + "." + name;
}

bool is_embedding(const GgufFile & file) {
    const std::string_view arch = arch_of(file);
    const bool named = arch.find("bert") != std::string_view::npos || arch.find("embed") != std::string_view::npos ||
                       arch == "t5encoder";
    // How the vectors of a text's tokens become one: 1 mean, 2 first, 3 last, 4 rank. Models that write have none.
    return named || file.metadata().find_int(key_of(file, "pooling_type")).value_or(0) > 0;
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

ModelType model_type(const GgufFile & file) {
    const std::string_view general_type = file.metadata().find_string("general.type").value_or("model");
    const std::string_view arch = arch_of(file);
    if (general_type == "adapter") return ModelType::adapter;
    if (general_type == "imatrix") return ModelType::imatrix;
    if (general_type == "mmproj" || arch == PROJECTOR_ARCH) return ModelType::projector;
    if (general_type != "model" || arch.empty()) return ModelType::other;
    if (file.tensors().empty()) return ModelType::vocabulary;
    if (is_embedding(file)) return ModelType::embedding;
    const auto n_expert = file.metadata().find_ints(key_of(file, "expert_count"));
    for (const int64_t n : n_expert.value_or(std::vector<int64_t>{})) {
        if (n > 0) return ModelType::moe;
    }
    return ModelType::dense;
}

bool looks_ahead(const GgufFile & file) {
    const std::string_view arch = arch_of(file);
    const bool diffusion = std::find(DIFFUSION_ARCHS.begin(), DIFFUSION_ARCHS.end(), arch) != DIFFUSION_ARCHS.end();
    const bool causal = file.metadata().find_int(key_of(file, "attention.causal")).value_or(1) != 0;
    return diffusion || !causal || arch == "gemma-embedding";
}

}  // namespace shimmy::gguf

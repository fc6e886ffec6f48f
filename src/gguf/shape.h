// Model shapes written as TOML: what `synth` builds and `verify` compares with. The reference shapes lie in shapes/;
// users write their own in the same format (docs in shapes/README.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace shimmy::gguf {

using MetadataValue = std::variant<bool, int64_t, double, std::string, std::vector<bool>, std::vector<int64_t>,
                                   std::vector<double>, std::vector<std::string>>;

// What `verify` checks. A value that is absent is not checked.
struct Expectations {
    std::optional<std::string> arch;
    std::optional<int64_t> n_layers;
    std::optional<int64_t> n_expert;
    std::optional<int64_t> n_expert_used;
    std::optional<int64_t> n_expert_shared;
    std::optional<int64_t> n_ctx_train;
    std::optional<int64_t> n_expert_tensors;
    std::optional<double> n_params;
    std::optional<double> n_active_params;
    double tolerance = 0.01;  // of the two parameter counts, relative
};

struct Shape {
    std::string name;               // "Phi-3.5-MoE"
    std::string arch;               // llama.cpp's: "phimoe"
    std::string source;             // file it was read from, for messages
    std::string quantization;       // default of `synth`
    std::string vocab;              // "phi-3": ggml-vocab-phi-3.gguf of llama.cpp; or a GGUF's path
    int64_t n_vocab = 0;            // the vocabulary is padded to this with unused tokens; 0: as it is
    std::vector<std::string> omit;  // regular expressions: optional tensors that the real model does not have
    std::vector<std::pair<std::string, MetadataValue>> metadata;  // GGUF keys, sorted
    Expectations expect;

    const MetadataValue * find(const std::string & key) const;
    // "<arch>.<name>"; nullopt if it is missing. Throws UsageError if it is not a whole number.
    std::optional<int64_t> find_int(const std::string & name) const;
};

// Names of the reference shapes.
std::vector<std::string> shape_names();

// `name_or_path`: a reference shape's name, or a TOML file. Throws UsageError: unknown name, bad TOML, unknown key.
Shape load_shape(const std::string & name_or_path);

// The same with `n_layers` layers: lists with a value per layer are cut too. Throws UsageError if nothing with experts
// would be left.
Shape with_layers(Shape shape, int64_t n_layers);

// The vocabulary-only GGUF that the shape names. Throws Error if it is not there.
std::filesystem::path find_vocab(const Shape & shape);

}  // namespace shimmy::gguf

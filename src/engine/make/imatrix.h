// Internal to the engine: an importance matrix in the form llama.cpp's quantizer takes.
#pragma once

#include "llama.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace shimmy::engine {

class Imatrix {
public:
    // Reads llama-imatrix's GGUF or its older .dat format. Throws Error naming the file, also for
    // values that are no numbers.
    explicit Imatrix(const std::filesystem::path & path);
    Imatrix(const Imatrix &) = delete;
    Imatrix & operator=(const Imatrix &) = delete;

    // Columns times experts of this tensor; none if the text reached no token of it, or the matrix is another model's.
    std::optional<uint64_t> n_values(const std::string & tensor) const;

    // One entry per weight, ended by a null name: mean of the squared activations per column (per expert).
    const llama_model_imatrix_data * data() const { return data_.data(); }

    // quantize.imatrix.* keys that say in the quantized file what it was made with; ended by an empty key.
    const llama_model_kv_override * metadata() const { return metadata_.data(); }

private:
    struct Weight {
        std::string name;
        std::vector<float> means;
    };

    void add_metadata(const char * key, const std::string & value);
    void add_metadata(const char * key, int64_t value);

    std::vector<Weight> weights_;
    std::vector<llama_model_imatrix_data> data_;
    std::vector<llama_model_kv_override> metadata_;
};

}  // namespace shimmy::engine

// What a model's makers recommend for sampling, where their file says it: general.sampling.*
// (llama.cpp's llama-arch.cpp names the keys).
#pragma once

#include "gguf/gguf_file.h"

#include <optional>
#include <string>

namespace shimmy::gguf {

struct RecommendedSampling {
    std::optional<double> temperature;
    std::optional<double> top_p;
    std::optional<double> min_p;
    std::optional<double> repeat_penalty;
    std::optional<int64_t> top_k;
};

// What is none of these numbers, or no value that they can have, is left out.
RecommendedSampling recommended_sampling(const GgufFile & file);

// "--temperature 0.6 --top-p 0.95"; empty if nothing is recommended.
std::string sampling_text(const RecommendedSampling & sampling);

}  // namespace shimmy::gguf

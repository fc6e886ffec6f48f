#include "gguf/sampling.h"

#include "base/error.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <vector>

namespace shimmy::gguf {

namespace {

constexpr double MAX_TEMPERATURE = 100.0;
constexpr int64_t MAX_TOP_K = 1 << 20;

std::optional<double> number(const GgufFile & file, const char * key, double least, double most) {
    try {
        const std::optional<double> value = file.metadata().find_float(std::string("general.sampling.") + key);
        return value && *value >= least && *value <= most ? value : std::nullopt;
    } catch (const Error &) {  // text, or a list
        return std::nullopt;
    }
}

}  // namespace

RecommendedSampling recommended_sampling(const GgufFile & file) {
    RecommendedSampling sampling;
    sampling.temperature = number(file, "temp", 0.0, MAX_TEMPERATURE);
    sampling.top_p = number(file, "top_p", 0.0, 1.0);
    sampling.min_p = number(file, "min_p", 0.0, 1.0);
    sampling.repeat_penalty = number(file, "penalty_repeat", std::nextafter(0.0, 1.0), MAX_TEMPERATURE);
    const auto top_k = number(file, "top_k", 0.0, static_cast<double>(MAX_TOP_K));
    if (top_k) sampling.top_k = static_cast<int64_t>(*top_k);
    return sampling;
}

std::string sampling_text(const RecommendedSampling & sampling) {
    std::vector<std::string> options;
    // What a file keeps in 32 bits is shown without the digits that 64 would add.
    const auto add = [&](const char * option, std::optional<double> value) {
        if (value) options.push_back(fmt::format("{} {}", option, static_cast<float>(*value)));
    };
    add("--temperature", sampling.temperature);
    add("--top-p", sampling.top_p);
    if (sampling.top_k) options.push_back(fmt::format("--top-k {}", *sampling.top_k));
    add("--min-p", sampling.min_p);
    add("--repeat-penalty", sampling.repeat_penalty);
    return fmt::format("{}", fmt::join(options, " "));
}

}  // namespace shimmy::gguf

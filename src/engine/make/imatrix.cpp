#include "engine/make/imatrix.h"

#include "base/error.h"
#include "base/files.h"
#include "base/text/text.h"
#include "engine/llama/log.h"
#include "engine/make/imatrix_coverage.h"
#include "gguf/expert_tensors.h"

#include "imatrix-loader.h"
#include "log.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace shimmy::engine {

namespace {

// The file holds sums of squares and how many tokens reached each expert. An expert that no token reached has no
// measurement: its columns weigh alike, as in llama.cpp's own tool.
std::vector<float> column_means(const common_imatrix_entry & entry) {
    std::vector<float> means = entry.sums;
    const size_t n_experts = std::max<size_t>(1, entry.counts.size());
    const size_t n_columns = std::max<size_t>(1, means.size() / n_experts);
    for (size_t i = 0; i < means.size(); ++i) {
        const size_t expert = std::min(i / n_columns, n_experts - 1);
        const int64_t count = entry.counts.empty() ? 1 : entry.counts[expert];
        means[i] = count > 0 ? means[i] / static_cast<float>(count) : 1.0F;
    }
    return means;
}

common_imatrix load(const std::filesystem::path & path) {
    require_readable_file(path);
    common_imatrix loaded;
    const LogCapture log;
    common_log_set_verbosity_thold(LOG_LEVEL_OUTPUT);  // the reader has a log of its own: one line is said, below
    if (!common_imatrix_load(path.string(), loaded) || loaded.entries.empty())
        fail("{}: not an importance matrix: {}", path.string(), log.reason("it holds no entries, or not whole ones"));
    return loaded;
}

}  // namespace

ImatrixCoverage read_imatrix_coverage(const std::filesystem::path & path) {
    const common_imatrix loaded = load(path);
    ImatrixCoverage coverage;
    coverage.n_tensors = static_cast<int>(loaded.entries.size());
    coverage.n_chunks = loaded.chunk_count;
    std::map<int, std::vector<int64_t>> tokens;  // per layer and expert
    for (const auto & [name, entry] : loaded.entries) {
        if (gguf::is_expert_tensor(name)) tokens[gguf::layer_of(name)] = entry.counts;  // alike for gate, up and down
    }
    for (const auto & [layer, counts] : tokens) {
        coverage.n_experts += static_cast<int>(counts.size());
        for (size_t expert = 0; expert < counts.size(); ++expert) {
            if (counts[expert] == 0) coverage.unreached.push_back({layer, static_cast<int>(expert)});
        }
    }
    return coverage;
}

Imatrix::Imatrix(const std::filesystem::path & path) {
    const common_imatrix loaded = load(path);
    for (const auto & [name, entry] : loaded.entries) {
        weights_.push_back({name, column_means(entry)});
        const auto & means = weights_.back().means;
        if (!std::all_of(means.begin(), means.end(), [](float mean) { return std::isfinite(mean); }))
            fail("{}: not an importance matrix: what it holds of {} is not a number", path.string(), printable(name));
    }
    for (const Weight & weight : weights_)
        data_.push_back({weight.name.c_str(), weight.means.data(), weight.means.size()});
    data_.push_back({nullptr, nullptr, 0});

    add_metadata("quantize.imatrix.file", path.filename().string());
    if (!loaded.datasets.empty()) add_metadata("quantize.imatrix.dataset", loaded.datasets.front());
    add_metadata("quantize.imatrix.entries_count", static_cast<int64_t>(weights_.size()));
    if (loaded.chunk_count > 0) add_metadata("quantize.imatrix.chunks_count", loaded.chunk_count);
    metadata_.push_back({});
}

std::optional<uint64_t> Imatrix::n_values(const std::string & tensor) const {
    const auto found =
        std::find_if(weights_.begin(), weights_.end(), [&](const Weight & weight) { return weight.name == tensor; });
    return found == weights_.end() ? std::nullopt : std::optional<uint64_t>(found->means.size());
}

void Imatrix::add_metadata(const char * key, const std::string & value) {
    llama_model_kv_override entry{};
    entry.tag = LLAMA_KV_OVERRIDE_TYPE_STR;
    std::string(key).copy(entry.key, sizeof(entry.key) - 1);
    value.copy(entry.val_str, sizeof(entry.val_str) - 1);
    metadata_.push_back(entry);
}

void Imatrix::add_metadata(const char * key, int64_t value) {
    llama_model_kv_override entry{};
    entry.tag = LLAMA_KV_OVERRIDE_TYPE_INT;
    std::string(key).copy(entry.key, sizeof(entry.key) - 1);
    entry.val_i64 = value;
    metadata_.push_back(entry);
}

}  // namespace shimmy::engine

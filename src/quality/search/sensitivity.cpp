#include "quality/search/sensitivity.h"

#include "base/error.h"
#include "base/text/text.h"
#include "engine/layout/tensor_plan.h"
#include "engine/make/quantize.h"
#include "gguf/expert_tensors.h"
#include "gguf/model_info.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <map>

namespace shimmy::quality {

namespace {

constexpr int N_BANDS = 4;  // of layers: the first and the last are known to be more sensitive than the middle
// One of every width: what lies between (legacy and i-quants) is not better at its size without an importance matrix.
constexpr std::array TYPES{"q8_0", "q6_K", "q5_K", "q4_K", "q3_K", "q2_K"};
constexpr const char * PROBE = "q3_K";    // coarse enough to rise above the kernels' rounding
constexpr const char * CARRIER = "Q8_0";  // a quantization that the overrides apply to; nothing keeps its types

bool is_in(const std::string & name, const char * part) {
    return name.find(part) != std::string::npos;
}

std::string kind_of(const std::string & name) {
    if (name == "token_embd.weight") return "token embedding";
    if (name == "output.weight") return "output";
    if (gguf::is_moved_by_cpu_moe(name)) return is_in(name, "_down_") ? "experts down" : "experts gate and up";
    if (is_in(name, ".attn_") || is_in(name, ".ssm_")) return "attention";
    return is_in(name, ".ffn_") ? "shared and dense FFN" : "other";
}

// "[.]" and the like: a name as a regular expression.
std::string escaped(const std::string & name) {
    std::string result;
    for (const char c : name)
        result += c == '.' ? std::string("\\.") : std::string(1, c);
    return result;
}

std::string band_name(const std::string & kind, int first, int last) {
    if (first < 0) return kind;
    return first == last ? fmt::format("{}, layer {}", kind, first)
                         : fmt::format("{}, layers {}-{}", kind, first, last);
}

bool is_on_device(const std::string & name, engine::Placement placement, int layer) {
    if (name == "token_embd.weight") return false;  // a table lookup, which llama.cpp leaves in RAM
    if (!gguf::is_moved_by_cpu_moe(name) || !placement.offloads()) return true;
    return placement != engine::Placement::offload() && layer >= placement.n_cpu_moe;
}

uint64_t bytes_of(const TensorGroup & group, const std::map<std::string, uint64_t> & bytes) {
    uint64_t sum = 0;
    for (const std::string & name : group.tensors)
        sum += bytes.at(name);
    return sum;
}

std::map<std::string, uint64_t> bytes_at(const fs::path & model, const std::string & type) {
    std::map<std::string, uint64_t> bytes;
    for (const engine::PlannedTensor & tensor : engine::plan_tensors(model, CARRIER, {{".", type}}).tensors)
        bytes[tensor.name] = tensor.bytes;
    return bytes;
}

// Removed however the measurement ends.
class Scratch {
public:
    explicit Scratch(fs::path path) : path_(std::move(path)) {}
    ~Scratch() {
        std::error_code ignored;
        fs::remove(path_, ignored);
    }
    Scratch(const Scratch &) = delete;
    Scratch & operator=(const Scratch &) = delete;
    const fs::path & path() const { return path_; }

private:
    fs::path path_;
};

}  // namespace

std::vector<TensorGroup> tensor_groups(const fs::path & model, engine::Placement placement) {
    const auto n_layers = std::max<int64_t>(1, gguf::read_model_info(model).n_layers);
    const int n_bands = static_cast<int>(std::min<int64_t>(N_BANDS, n_layers));
    struct Key {
        int band;
        std::string kind;
        bool on_device;
        auto operator<=>(const Key &) const = default;
    };
    std::map<Key, TensorGroup> groups;
    std::map<Key, std::pair<int, int>> layers;
    for (const engine::PlannedTensor & tensor : engine::plan_tensors(model, CARRIER).tensors) {
        if (tensor.type == "f32" || tensor.type == "f16" || tensor.type == "bf16") continue;  // stays what it is
        const int layer = gguf::layer_of(tensor.name);
        const int band = layer < 0 ? -1 : static_cast<int>(layer * n_bands / n_layers);
        const Key key{band, kind_of(tensor.name), is_on_device(tensor.name, placement, layer)};
        const auto [range, is_new] = layers.try_emplace(key, layer, layer);
        range->second.second = layer;  // the plan is ordered by layer
        TensorGroup & group = groups[key];
        group.tensors.push_back(tensor.name);
        group.on_device = key.on_device;
        group.name = band_name(key.kind, range->second.first, layer);
    }
    std::vector<TensorGroup> result;
    for (auto & [key, group] : groups)
        result.push_back(std::move(group));
    for (const char * type : TYPES) {
        const auto bytes = bytes_at(model, type);
        for (TensorGroup & group : result)
            group.options.push_back({type, bytes_of(group, bytes), 0.0});
    }
    return result;
}

engine::TensorOverride override_of(const TensorGroup & group, const std::string & type) {
    std::string pattern;
    for (const std::string & name : group.tensors)
        pattern += (pattern.empty() ? "^(" : "|") + escaped(name);
    return {pattern + ")$", type};
}

std::vector<engine::TensorOverride> overrides_of(const std::vector<TensorGroup> & groups,
                                                 const std::vector<size_t> & picked) {
    std::vector<engine::TensorOverride> result;
    for (size_t i = 0; i < groups.size(); ++i)
        result.push_back(override_of(groups[i], groups[i].options[picked[i]].type));
    return result;
}

size_t n_sensitivity_steps(const std::vector<TensorGroup> & groups) {
    return TYPES.size() + groups.size();
}

void measure_sensitivity(std::vector<TensorGroup> & groups, const Reference & reference,
                         const SensitivityOptions & options,
                         const std::function<void(const std::string &, size_t, size_t)> & on_step) {
    const Scratch scratch(options.scratch);
    const size_t n_steps = n_sensitivity_steps(groups);
    size_t n_done = 0;
    const auto kld_with = [&](const std::string & what, const std::vector<engine::TensorOverride> & types) {
        on_step(what, n_done++, n_steps);
        engine::quantize({options.model, scratch.path(), CARRIER, options.imatrix, options.n_threads, types});
        engine::LoadOptions load = options.load;
        load.path = scratch.path().string();
        return reference.compare(load, [](size_t, size_t) {}).figures.mean_kld;
    };

    const std::string unchanged = lower(gguf::read_model_info(options.model).dominant_type);
    std::map<std::string, double> all_at;  // every group at this type
    for (const char * type : TYPES) {
        std::vector<engine::TensorOverride> types;
        for (const TensorGroup & group : groups)
            types.push_back(override_of(group, type));
        all_at[type] = kld_with(fmt::format("all at {}", type), types);
    }
    for (TensorGroup & group : groups) {
        const double probed = kld_with(group.name + " at " + PROBE, {override_of(group, PROBE), {".", unchanged}});
        for (TypeOption & option : group.options)
            option.kld = probed * all_at.at(option.type) / all_at.at(PROBE);
    }
    on_step("sensitivity", n_steps, n_steps);
}

}  // namespace shimmy::quality

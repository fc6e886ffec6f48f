#include "tune/settings.h"

#include <algorithm>
#include <array>
#include <map>

#include <fmt/format.h>

namespace shimmy::tune {

namespace {

constexpr int DEFAULT_UBATCH = 512;
constexpr int DEFAULT_BATCH = 2048;
constexpr std::array UBATCHES{128, 256, 1024, 2048, 4096};
constexpr std::array GPU_MIN_BATCHES{0, 64, 256, 1024};

// Where memory goes: every one of these is about it.
const std::vector<std::string> PLACING{"--placement",    "--cpu-moe",     "--n-cpu-moe",  "--override-tensor",
                                       "--vram",         "--device",      "--rpc",        "--split-mode",
                                       "--tensor-split", "--gpu-backend", "--moe-backend"};

std::vector<std::string> placing_and(const std::string & option) {
    std::vector<std::string> options = PLACING;
    options.push_back(option);
    return options;
}

bool is_decided(const Setting & setting, const std::vector<std::string> & given) {
    const std::vector<std::string> & deciding = options_that_decide(setting.name);
    return std::any_of(deciding.begin(), deciding.end(), [&](const std::string & option) {
        return std::find(given.begin(), given.end(), option) != given.end();
    });
}

std::string number(int n) {
    return std::to_string(n);
}

Setting threads(const Facts & facts) {
    Setting setting{"threads", {{number(facts.n_physical), {}}}};
    // All CPUs, the fast cores alone, and half of the cores, which suffice where memory is the limit.
    for (const int n : {facts.n_logical, facts.n_performance, facts.n_physical / 2}) {
        const bool is_known = std::any_of(setting.values.begin(), setting.values.end(),
                                          [&](const Value & value) { return value.text == number(n); });
        if (n > 0 && !is_known) setting.values.push_back({number(n), {"--threads", number(n)}});
    }
    return setting;
}

// A batch is as large as its physical batches, at least.
Setting ubatch(const Facts & facts) {
    Setting setting{"ubatch", {{number(DEFAULT_UBATCH), {}}}};
    const int n_tokens = facts.n_prompt * facts.n_clients;
    for (const int n : UBATCHES) {
        // What is larger than the prompts differs from others only up to the first that holds them all.
        const bool can_be_told_apart = n < n_tokens || (n_tokens > DEFAULT_UBATCH && n < 2 * n_tokens);
        if (!can_be_told_apart) continue;
        Value value{number(n), {"--ubatch", number(n)}};
        if (n > DEFAULT_BATCH) value.options.insert(value.options.end(), {"--batch", number(n)});
        setting.values.push_back(std::move(value));
    }
    return setting;
}

Setting placement(const Facts & facts) {
    Setting setting{"placement", {{"auto", {}}}};
    if (!facts.on_gpu || !facts.has_experts || facts.n_cpu_moe == 0) return setting;
    if (facts.n_cpu_moe > 0) {
        setting.values.push_back({"cpu-moe", {"--cpu-moe"}});
        return setting;
    }
    // Whole layers in VRAM in place of a cache; what does not fit is refused before anything is loaded.
    for (const int n : {facts.n_layers * 3 / 4, facts.n_layers / 2})
        if (n > 0) setting.values.push_back({fmt::format("n-cpu-moe={}", n), {"--n-cpu-moe", number(n)}});
    return setting;
}

Setting gpu_min_batch() {
    Setting setting{"gpu-min-batch", {{"measured", {}}}};
    for (const int n : GPU_MIN_BATCHES)
        setting.values.push_back({n == 0 ? "never" : number(n), {"--moe-gpu-min-batch", number(n)}});
    return setting;
}

}  // namespace

const std::vector<std::string> & options_that_decide(const std::string & setting) {
    static const std::map<std::string, std::vector<std::string>> all{
        {"placement", PLACING},
        {"cache", placing_and("--moe-cache")},
        {"plugin", {"--moe-backend"}},
        {"threads", {"--threads"}},
        {"ubatch", {"--ubatch", "--batch"}},
        {"gpu-min-batch", placing_and("--moe-gpu-min-batch")},
        // A quantized cache needs flash attention.
        {"flash-attention", {"--flash-attn", "--cache-type-k", "--cache-type-v"}},
        {"kv-cache", {"--flash-attn", "--cache-type-k", "--cache-type-v"}},
        {"load-mode", {"--load-mode", "--moe-backend"}},
        {"speculation", {"--spec", "--spec-type", "--model-draft"}},
    };
    static const std::vector<std::string> none;
    const auto found = all.find(setting);
    return found == all.end() ? none : found->second;
}

std::vector<Setting> settings_for(const Facts & facts, const std::vector<std::string> & given) {
    const bool has_experts_in_ram = facts.has_experts && (!facts.on_gpu || facts.n_cpu_moe != 0);
    std::vector<Setting> all{placement(facts)};
    if (facts.has_plugin && facts.on_gpu && has_experts_in_ram)
        all.push_back({"cache", {{"auto", {}}, {"off", {"--moe-cache", "off"}}}});
    if (facts.has_plugin && (!facts.on_gpu || has_experts_in_ram))
        all.push_back({"plugin", {{"on", {}}, {"off", {"--moe-backend", "off"}}}});
    all.push_back(threads(facts));
    all.push_back(ubatch(facts));
    if (facts.has_plugin && facts.on_gpu && has_experts_in_ram) all.push_back(gpu_min_batch());
    all.push_back({"flash-attention", {{"auto", {}}, {"off", {"--flash-attn", "off"}}}});
    all.push_back({"kv-cache",
                   {{"f16", {}}, {"q8_0", {"--cache-type-k", "q8_0", "--cache-type-v", "q8_0"}}},
                   /*changes_text=*/true});
    if (!facts.larger_than_ram) all.push_back({"load-mode", {{"auto", {}}, {"none", {"--load-mode", "none"}}}});
    std::erase_if(all,
                  [&](const Setting & setting) { return setting.values.size() < 2 || is_decided(setting, given); });
    return all;
}

std::vector<Setting> speculation_settings(const Facts & facts, const std::vector<std::string> & given) {
    const Setting setting{"speculation", {{"off", {}}, {"ngram-mod", {"--spec", "ngram-mod"}}}};
    if (facts.n_clients > 1 || is_decided(setting, given)) return {};
    return {setting};
}

}  // namespace shimmy::tune
